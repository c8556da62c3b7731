/**
 * Safetensors: named tensors in one file of plain data. Reads only what this runtime needs (F32, I8,
 * I32) and nothing that is not exactly so.
 * Source: https://huggingface.co/docs/safetensors (8 bytes length, JSON header, one buffer)
 */
import { GatewayError } from "../domain/errors.ts";
import { isObject } from "../domain/json.ts";
import { noPause, type Pause } from "../std/pause.ts";
import type { Tensor } from "./strategies/strategy.ts";

export type Tensors = Readonly<Record<string, Tensor>>;

const bytesOf = { F32: 4, I8: 1, I32: 4 } as const;
const limits = { headerBytes: 1024 * 1024, tensors: 1024, dimensions: 4 } as const;

/** The same tensors give the same bytes: names in order, no metadata, header padded to 8. */
export function encodeSafetensors(tensors: Tensors): Uint8Array {
  const header: Record<string, unknown> = {};
  let end = 0;
  const names = Object.keys(tensors).sort();
  for (const name of names) {
    const { dtype, shape, values } = tensors[name] as Tensor;
    header[name] = { dtype, shape, data_offsets: [end, end + values.byteLength] };
    // Views need aligned offsets, so an int8 tensor is padded by a hidden one where it must be.
    end += values.byteLength;
    const gap = (4 - (end % 4)) % 4;
    if (gap > 0) {
      header[`${name}.pad`] = { dtype: "I8", shape: [gap], data_offsets: [end, end + gap] };
      end += gap;
    }
  }
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const bytes = new Uint8Array(8 + json.length + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  for (const name of names) {
    const { values } = tensors[name] as Tensor;
    const { data_offsets } = header[name] as { data_offsets: [number, number] };
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    bytes.set(raw, 8 + json.length + data_offsets[0]);
  }
  return bytes;
}

/** @throws GatewayError artifact_refused for anything that is not whole, dense and finite. */
export async function decodeSafetensors(
  bytes: Uint8Array,
  path: string,
  pause: Pause = noPause,
): Promise<Tensors> {
  const fail = (why: string): never => {
    throw new GatewayError("artifact_refused", `${path}: ${why}`);
  };
  if (bytes.length < 8) fail("too short for safetensors");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  if (headerLength > limits.headerBytes || headerLength > bytes.length - 8) {
    fail("the header is longer than the file or than 1 MiB");
  }
  const start = 8 + headerLength;
  const header = parseHeader(bytes.subarray(8, start), fail);
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  if (entries.length > limits.tensors) fail(`more than ${limits.tensors} tensors`);
  const tensors: Record<string, Tensor> = Object.create(null);
  const spans: [number, number][] = [];
  for (const [name, entry] of entries) {
    const { dtype, shape, from, to } = parseEntry(name, entry, bytes.length - start, fail);
    spans.push([from, to]);
    if (name.endsWith(".pad")) continue;
    const tensor = toTensor(
      dtype,
      shape,
      await copyOf(bytes.subarray(start + from, start + to), pause),
    );
    await pause();
    if (tensor.dtype === "F32" && !(await allFinite(tensor.values, pause))) {
      fail(`tensor ${name} holds a number that is not finite`);
    }
    tensors[name] = tensor;
  }
  let end = 0;
  for (const [from, to] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end) fail("the tensors overlap or leave a gap");
    end = to;
  }
  if (end !== bytes.length - start) fail("the file holds bytes that belong to no tensor");
  return tensors;
}

type Fail = (why: string) => never;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    fail("the header is not JSON");
  }
  return isObject(value) ? (value as Record<string, unknown>) : fail("the header is not an object");
}

function parseEntry(name: string, entry: unknown, length: number, fail: Fail) {
  if (!isObject(entry)) return fail(`tensor ${name} has no description`);
  const { dtype, shape } = entry;
  const offsets = entry["data_offsets"];
  if (dtype !== "F32" && dtype !== "I8" && dtype !== "I32") {
    return fail(`tensor ${name} is neither F32, I8 nor I32`);
  }
  const sound = (value: unknown): value is number =>
    Number.isSafeInteger(value) && Number(value) >= 0;
  if (!Array.isArray(shape) || shape.length > limits.dimensions || !shape.every(sound)) {
    return fail(`tensor ${name} has no sound shape`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(sound)) {
    return fail(`tensor ${name} has no sound place`);
  }
  const [from, to] = offsets as [number, number];
  const size = (shape as number[]).reduce((product, side) => product * side, 1) * bytesOf[dtype];
  if (to > length || to - from !== size) fail(`tensor ${name} is not of its shape's size`);
  return { dtype, shape: shape as number[], from, to } as const;
}

function toTensor(
  dtype: "F32" | "I8" | "I32",
  shape: readonly number[],
  { buffer }: Uint8Array,
): Tensor {
  if (dtype === "I8") return { dtype, shape, values: new Int8Array(buffer) };
  if (dtype === "I32") return { dtype, shape, values: new Int32Array(buffer) };
  return { dtype, shape, values: new Float32Array(buffer) };
}

/** Bytes that are copied without a pause. */
const copied = 1 << 20;

async function copyOf(bytes: Uint8Array, pause: Pause): Promise<Uint8Array> {
  if (bytes.length <= copied) return bytes.slice();
  const copy = new Uint8Array(bytes.length);
  for (let from = 0; from < bytes.length; from += copied) {
    copy.set(bytes.subarray(from, from + copied), from);
    await pause();
  }
  return copy;
}

/** Numbers that are looked at without a pause. */
const block = 16_384;

/** By their bits: neither an infinity nor no number at all. */
async function allFinite(values: Float32Array, pause: Pause): Promise<boolean> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let from = 0; from < bits.length; from += block) {
    const to = Math.min(from + block, bits.length);
    for (let i = from; i < to; i++) {
      if (((bits[i] as number) & 0x7f800000) === 0x7f800000) return false;
    }
    await pause();
  }
  return true;
}

/** A tensor of a kind and shape. @throws GatewayError artifact_refused */
export function takeF32(tensors: Tensors, name: string, shape: readonly number[]): Float32Array {
  const tensor = take(tensors, name, shape);
  return tensor.dtype === "F32" ? tensor.values : refuse(name, "F32");
}

export function takeI8(tensors: Tensors, name: string, shape: readonly number[]): Int8Array {
  const tensor = take(tensors, name, shape);
  return tensor.dtype === "I8" ? tensor.values : refuse(name, "I8");
}

export function takeI32(tensors: Tensors, name: string, shape: readonly number[]): Int32Array {
  const tensor = take(tensors, name, shape);
  return tensor.dtype === "I32" ? tensor.values : refuse(name, "I32");
}

/** −1 in a shape takes any size. */
function take(tensors: Tensors, name: string, shape: readonly number[]): Tensor {
  const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
  const fits =
    tensor?.shape.length === shape.length &&
    shape.every((side, i) => side === -1 || side === tensor.shape[i]);
  if (!tensor || !fits) {
    const wanted = shape.map((side) => (side === -1 ? "any" : side)).join("×");
    throw new GatewayError(
      "artifact_refused",
      `tensor ${name} (${wanted}) is missing or of another shape`,
    );
  }
  return tensor;
}

function refuse(name: string, dtype: string): never {
  throw new GatewayError("artifact_refused", `tensor ${name} is not ${dtype}`);
}

export const f32 = (values: Float32Array, ...shape: number[]): Tensor => ({
  dtype: "F32",
  shape,
  values,
});
export const i8 = (values: Int8Array, ...shape: number[]): Tensor => ({
  dtype: "I8",
  shape,
  values,
});
export const i32 = (values: Int32Array, ...shape: number[]): Tensor => ({
  dtype: "I32",
  shape,
  values,
});
