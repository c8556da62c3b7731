/** The AWS libraries' search for credentials; loaded where a row names none. */
export { defaultProvider } from "@aws-sdk/credential-provider-node";
