/** Files inside the executable, which the build may have compressed. */
import { readFileSync } from "node:fs";

/** Zstandard's first bytes. */
const packed = 0xfd2fb528;

/** A file whole: as it lies in the sources, or unpacked where the build has packed it. @throws Error */
export function readPackedFile(path: string): Uint8Array<ArrayBuffer> {
  const bytes = readFileSync(path);
  const isPacked = bytes.length >= 4 && bytes.readUInt32LE(0) === packed;
  return new Uint8Array(isPacked ? Bun.zstdDecompressSync(bytes) : bytes);
}
