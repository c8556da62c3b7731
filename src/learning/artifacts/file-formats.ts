/** Which files an artifact may hold: JSON, safetensors, ONNX. Data that no loader can execute. */
import { isObject } from "../../domain/json.ts";
import { isStandardOnnx } from "./onnx-check.ts";
import { refuse } from "./refusal.ts";

type Format = "json" | "safetensors" | "onnx";

/** @throws ArtifactRefusal format, for a name that ends in anything else. */
export function formatOf(path: string): Format {
  const match = /\.(json|safetensors|onnx)$/.exec(path);
  if (!match) refuse("format", `${path} is neither .json, .safetensors nor .onnx`);
  return match[1] as Format;
}

/**
 * Looks into a file whose hash was checked already.
 *
 * `strict` (a file about to be loaded): it must be of its format. Otherwise (a repository made for
 * another runtime) it must not be one of the refused kinds under a harmless name.
 * @throws ArtifactRefusal format
 */
export function checkContent(path: string, bytes: Uint8Array, strict: boolean): void {
  const format = formatOf(path);
  const valid = checks[format](bytes);
  if (valid === true) return;
  if (valid === "foreign")
    refuse("format", `${path} needs operators or files outside the standard`);
  const disguised = refusedKind(bytes);
  if (disguised) refuse("format", `${path} is in truth ${disguised}`);
  if (strict) refuse("format", `${path} is not ${format}`);
}

/** "foreign": well-formed, and asks for what is not allowed. */
type Verdict = boolean | "foreign";

const checks: Readonly<Record<Format, (bytes: Uint8Array) => Verdict>> = {
  json: isJson,
  safetensors: isSafetensors,
  onnx: isStandardOnnx,
};

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    return true;
  } catch {
    return false; // the verdict is the answer; the caller words it
  }
}

/** Source: https://huggingface.co/docs/safetensors (8 bytes length, JSON header, one buffer). */
function isSafetensors(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getBigUint64(0, true);
  if (headerLength > BigInt(bytes.length - 8)) return false;
  const end = 8 + Number(headerLength);
  const header = bytes.subarray(8, end);
  if (header[0] !== 0x7b || !isJson(header)) return false;
  const tensors: unknown = JSON.parse(new TextDecoder().decode(header));
  if (!isObject(tensors)) return false;
  return Object.entries(tensors).every(([name, tensor]) => {
    if (name === "__metadata__") return isObject(tensor);
    if (!isObject(tensor) || !Array.isArray(tensor["data_offsets"])) return false;
    const [from, to] = tensor["data_offsets"] as readonly unknown[];
    if (typeof from !== "number" || typeof to !== "number") return false;
    return 0 <= from && from <= to && to <= bytes.length - end;
  });
}

const magics: readonly (readonly [prefix: readonly number[], kind: string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], "a zip archive (a PyTorch file, say)"],
  [[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59], "a NumPy file"],
  [[0x89, 0x48, 0x44, 0x46], "an HDF5 file"],
  [[0x00, 0x61, 0x73, 0x6d], "WebAssembly"],
  [[0x7f, 0x45, 0x4c, 0x46], "an executable"],
  [[0x4d, 0x5a], "an executable"],
  [[0xcf, 0xfa, 0xed, 0xfe], "an executable"],
  [[0x23, 0x21], "a script"],
  [[0x1f, 0x8b], "a gzip archive"],
  [[0x78, 0x9c], "a compressed pickle"],
  [[0x42, 0x5a, 0x68], "a bzip2 archive"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "an xz archive"],
];

function refusedKind(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes;
  // Pickle protocol 2 to 5: PROTO, then its number.
  if (first === 0x80 && second !== undefined && second >= 2 && second <= 5) return "a pickle";
  return magics.find(([prefix]) => prefix.every((byte, i) => bytes[i] === byte))?.[1];
}
