/** A file of another program, read as data: what kind it is shows in its first bytes. */
import { globals } from "./globals.ts";
import { unpack } from "./joblib.ts";
import { readPickle } from "./pickle.ts";
import { newBudget } from "./pickle-options.ts";
import { Reader } from "./reader.ts";
import { isLegacyTorch, readLegacyTorch, readTorchZip } from "./torch-storage.ts";
import { importLimits, refuseImport, type Value } from "./values.ts";

/**
 * @throws GatewayError artifact_refused: it names a class that is not read, is broken, or passes a
 * limit. Cost: one pass over the file; arrays are views of it.
 */
export function readForeignFile(bytes: Uint8Array): Value {
  if (bytes.length > importLimits.fileBytes) {
    refuseImport(`the file has more than ${importLimits.fileBytes} bytes`);
  }
  const loading = { globals, budget: newBudget() };
  if (startsWith(bytes, [0x50, 0x4b, 0x03, 0x04])) return readTorchZip(bytes, loading);
  const whole = unpack(bytes);
  if (isLegacyTorch(whole)) return readLegacyTorch(whole, loading);
  return readPickle(new Reader(whole), loading);
}

const startsWith = (bytes: Uint8Array, prefix: readonly number[]) =>
  prefix.every((byte, i) => bytes[i] === byte);
