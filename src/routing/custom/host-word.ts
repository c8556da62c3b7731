/** The first word of a command line that makes this program the process of a user's module. */
export const hostWord = "--custom-module-host";
