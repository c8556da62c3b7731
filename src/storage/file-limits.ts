/** How much of files one caller may keep. */
export interface FileLimits {
  readonly maxFileBytes: number;
  /** Of one caller, all files together. */
  readonly maxTotalBytes: number;
  readonly maxFiles: number;
}

export const defaultFileLimits: FileLimits = {
  maxFileBytes: 512 * 1024 ** 2, // as OpenAI has it
  maxTotalBytes: 100 * 1024 ** 3,
  maxFiles: 10_000,
};
