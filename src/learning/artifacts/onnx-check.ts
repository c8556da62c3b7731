/**
 * Reads an ONNX model's skeleton, without running anything: every operator must be of a standard
 * domain, every weight inside the file. Source: onnx/onnx.proto (IR version 10).
 */

const standardDomains: ReadonlySet<string> = new Set(["", "ai.onnx", "ai.onnx.ml"]);
/** Sub-graphs (If, Loop) within sub-graphs. */
const maxDepth = 16;

class NotOnnx extends Error {}
class Foreign extends Error {}

/** False for what is not ONNX; "foreign" for custom operators, local functions, external weights. */
export function isStandardOnnx(bytes: Uint8Array): boolean | "foreign" {
  try {
    return readModel(bytes);
  } catch (error) {
    if (error instanceof NotOnnx) return false;
    if (error instanceof Foreign) return "foreign";
    throw error;
  }
}

function readModel(bytes: Uint8Array): boolean {
  let irVersion = false;
  let graph: Uint8Array | undefined;
  for (const [field, value] of messageFields(bytes)) {
    if (field === 1 && typeof value === "number") irVersion = true;
    if (field === 7) graph = bytesOf(value);
    if (field === 8) readOpset(bytesOf(value));
    if (field === 20 || field === 25) throw new Foreign(); // training_info, functions
  }
  if (!irVersion || !graph) return false;
  readGraph(graph, 0);
  return true;
}

function readOpset(bytes: Uint8Array): void {
  for (const [field, value] of messageFields(bytes)) {
    if (field === 1) checkDomain(bytesOf(value));
  }
}

function readGraph(bytes: Uint8Array, depth: number): void {
  if (depth > maxDepth) throw new Foreign();
  for (const [field, value] of messageFields(bytes)) {
    if (field === 1) readNode(bytesOf(value), depth);
    if (field === 5) readTensor(bytesOf(value));
    if (field === 15) readSparseTensor(bytesOf(value));
  }
}

function readNode(bytes: Uint8Array, depth: number): void {
  for (const [field, value] of messageFields(bytes)) {
    if (field === 5) readAttribute(bytesOf(value), depth);
    if (field === 7) checkDomain(bytesOf(value));
  }
}

function readAttribute(bytes: Uint8Array, depth: number): void {
  for (const [field, value] of messageFields(bytes)) {
    if (field === 5 || field === 10) readTensor(bytesOf(value)); // t, tensors
    if (field === 22 || field === 23) readSparseTensor(bytesOf(value));
    if (field === 6 || field === 11) readGraph(bytesOf(value), depth + 1); // g, graphs
  }
}

function readSparseTensor(bytes: Uint8Array): void {
  for (const [field, value] of messageFields(bytes)) {
    if (field === 1 || field === 2) readTensor(bytesOf(value));
  }
}

/** A tensor whose data lies in another file names a path: never. */
function readTensor(bytes: Uint8Array): void {
  for (const [field, value] of messageFields(bytes)) {
    if (field === 13 || (field === 14 && value !== 0)) throw new Foreign();
  }
}

function checkDomain(bytes: Uint8Array): void {
  if (!standardDomains.has(new TextDecoder().decode(bytes))) throw new Foreign();
}

function bytesOf(value: number | Uint8Array): Uint8Array {
  if (typeof value === "number") throw new NotOnnx();
  return value;
}

/** The fields of one protobuf message: varints as numbers, the rest as bytes. */
function* messageFields(bytes: Uint8Array): Generator<[field: number, value: number | Uint8Array]> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw new NotOnnx();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new NotOnnx();
  };
  const take = (length: number) => {
    if (at + length > bytes.length) throw new NotOnnx();
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    if (field < 1) throw new NotOnnx();
    switch (tag % 8) {
      case 0:
        yield [field, varint()];
        break;
      case 1:
        yield [field, take(8)];
        break;
      case 2:
        yield [field, take(varint())];
        break;
      case 5:
        yield [field, take(4)];
        break;
      default:
        throw new NotOnnx();
    }
  }
}
