/**
 * joblib's files: a pickle in which every array is a small object, its items lying behind it in the
 * file, and the whole perhaps compressed.
 * Source: joblib/numpy_pickle.py (NumpyArrayWrapper.read_array, since 0.10)
 */
import { constants, gunzipSync, inflateSync } from "node:zlib";
import { unpackLz4 } from "./lz4.ts";
import { countOf, toShape } from "./numpy.ts";
import { readPickle } from "./pickle.ts";
import { enter, type PickleOptions } from "./pickle-options.ts";
import type { Reader } from "./reader.ts";
import { Dtype, type Instance, importLimits, NumericArray, refuseImport } from "./values.ts";

/** The array behind its wrapper; the reader stands at its first byte, and is left behind its last. */
export function readJoblibArray(
  wrapper: Instance,
  reader: Reader,
  options: PickleOptions,
): NumericArray {
  const dtype = wrapper.get("dtype");
  if (!(dtype instanceof Dtype)) return refuseImport("an array of joblib has no type");
  if (dtype.kind === "O") {
    enter(options.budget);
    const inner = readPickle(reader, options);
    options.budget.nested++;
    return inner instanceof NumericArray ? inner : refuseImport("an array of joblib is none");
  }
  const shape = toShape(wrapper.get("shape") ?? null);
  if (typeof wrapper.get("numpy_array_alignment_bytes") === "number") {
    reader.take(reader.u8()); // padding, so that the items can be mapped into memory
  }
  const data = reader.take(countOf(shape) * dtype.size);
  return new NumericArray(dtype, shape, wrapper.get("order") === "F", data);
}

type Unpack = (bytes: Uint8Array) => Uint8Array;

const maxOutputLength = importLimits.totalBytes;

const packings: readonly (readonly [prefix: readonly number[], name: string, unpack?: Unpack])[] = [
  [[0x1f, 0x8b], "gzip", (bytes) => gunzipSync(bytes, { maxOutputLength })],
  [[0x04, 0x22, 0x4d, 0x18], "lz4", (bytes) => unpackLz4(bytes, maxOutputLength)],
  [[0x42, 0x5a, 0x68], "bz2"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "xz"],
  [[0x5d, 0x00, 0x00], "lzma"],
];

/** @throws GatewayError artifact_refused for a packing that is not read, or that holds too much */
export function unpack(bytes: Uint8Array): Uint8Array {
  const known = packings.find(([prefix]) => prefix.every((byte, i) => bytes[i] === byte));
  const [, name, run] = known ?? (isZlib(bytes) ? zlib : []);
  if (name === undefined) return bytes;
  if (!run) {
    return refuseImport(
      `the file is packed by ${name}, which is not read: ` +
        "joblib.dump(joblib.load(FILE), NEW, compress=('zlib', 3)) packs it anew",
    );
  }
  try {
    return run(bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return refuseImport(`the file is packed by ${name}, and does not unpack: ${why}`, cause);
  }
}

const zlib = [
  [],
  "zlib",
  (bytes: Uint8Array) => inflateSync(bytes, { maxOutputLength, finishFlush: constants.Z_FINISH }),
] as const satisfies readonly [readonly number[], string, Unpack];

/** Deflate with a window, and a checksum over its two bytes of header. */
function isZlib([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 0x8f) === 0x08 && ((first << 8) | second) % 31 === 0;
}
