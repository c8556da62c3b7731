/** numpy's pickled arrays: dtypes, items as they lay in memory, and what they come to as numbers. */
import { Dtype, importLimits, NumericArray, refuseImport, Tensor, type Value } from "./values.ts";

/** `numpy.dtype("f8", False, True)`. */
export function toDtype([code]: readonly Value[]): Dtype {
  const match = typeof code === "string" ? /^[<>|=]?([?biufcmMOSUV])(\d{0,9})$/.exec(code) : null;
  if (!match) return refuseImport("an array is of a type that is not read");
  const kind = match[1] === "?" ? "b" : (match[1] as string);
  const size = Number(match[2] === "" ? 1 : match[2]);
  return new Dtype(kind, kind === "U" ? 4 * size : size);
}

/** Its pickled state: version, byte order, and parts that only structured types have. */
export function setDtypeState(dtype: Dtype, state: Value): void {
  if (!Array.isArray(state)) refuseImport("an array's type has no sound state");
  dtype.bigEndian = state[1] === ">";
}

/** An array without items, whose state comes next. */
export function reconstruct(): NumericArray {
  return new NumericArray(new Dtype("f", 8), [0], false, new Uint8Array());
}

/** (version, shape, dtype, columns first, items). */
export function setArrayState(array: NumericArray, state: Value): void {
  if (!Array.isArray(state) || state.length < 4) refuseImport("an array has no sound state");
  const [shape, dtype, fortran, data] = (state.length > 4 ? state.slice(1) : state) as Value[];
  if (!(dtype instanceof Dtype)) refuseImport("an array has no type");
  array.dtype = dtype;
  array.shape = toShape(shape ?? null);
  array.fortran = fortran === true;
  array.data = checkData(array, data ?? null);
}

/** Protocol 5: `_frombuffer(buffer, dtype, shape, order)`. */
export function frombuffer([buffer, dtype, shape, order]: readonly Value[]): NumericArray {
  if (!(dtype instanceof Dtype)) return refuseImport("an array has no type");
  const array = new NumericArray(dtype, toShape(shape ?? null), order === "F", new Uint8Array());
  array.data = checkData(array, buffer ?? null);
  return array;
}

/** `scalar(dtype, bytes)`: one number. */
export function toScalar([dtype, bytes]: readonly Value[]): Value {
  if (!(dtype instanceof Dtype)) return refuseImport("a number has no type");
  if (!(bytes instanceof Uint8Array)) return bytes ?? null; // of an object: itself
  const array = new NumericArray(dtype, [1], false, bytes);
  checkData(array, bytes);
  if (dtype.kind === "U" || dtype.kind === "S") return toTexts(array)[0] ?? null;
  return toFloats(array)[0] ?? null;
}

export function toShape(value: Value): readonly number[] {
  const sound = (side: Value): side is number => Number.isSafeInteger(side) && Number(side) >= 0;
  if (Array.isArray(value) && value.length <= importLimits.dimensions && value.every(sound)) {
    return value as readonly number[];
  }
  return refuseImport("an array has no sound shape");
}

export const countOf = (shape: readonly number[]): number =>
  shape.reduce((product, side) => product * side, 1);

function checkData({ dtype, shape }: NumericArray, data: Value): Uint8Array | readonly Value[] {
  const items = countOf(shape);
  if (dtype.kind === "O") {
    if (Array.isArray(data) && data.length === items) return data;
    return refuseImport("an array of objects has not as many as its shape says");
  }
  if (data instanceof Uint8Array && data.length === items * dtype.size) return data;
  return refuseImport("an array has not as many items as its shape says");
}

/** An array as doubles, rows first. */
export function toFloats(value: Value | undefined): Float64Array {
  if (value instanceof Tensor) return tensorFloats(value);
  if (typeof value === "number") return Float64Array.of(value);
  if (!(value instanceof NumericArray)) return refuseImport("an array of numbers is missing");
  const { dtype, shape, data, fortran } = value;
  if (!(data instanceof Uint8Array)) {
    return Float64Array.from(data as readonly Value[], (item) =>
      typeof item === "number" ? item : refuseImport("an array holds something that is no number"),
    );
  }
  const read = itemReader(dtype, data);
  const n = countOf(shape);
  const floats = new Float64Array(n);
  if (!fortran || shape.length < 2) {
    for (let i = 0; i < n; i++) floats[i] = read(i);
    return floats;
  }
  if (shape.length > 2) refuseImport("an array of more than two dimensions lies columns first");
  const [rows, columns] = shape as [number, number];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) floats[r * columns + c] = read(c * rows + r);
  }
  return floats;
}

function tensorFloats({ storage, offset, shape, stride }: Tensor): Float64Array {
  if (!storage.bytes) return refuseImport("a tensor's numbers are not in the file");
  const read = itemReader(storage.dtype, storage.bytes);
  const floats = new Float64Array(countOf(shape));
  for (let i = 0; i < floats.length; i++) {
    let rest = i;
    let at = offset;
    for (let k = shape.length - 1; k >= 0; k--) {
      const side = shape[k] as number;
      at += (rest % side) * (stride[k] as number);
      rest = Math.floor(rest / side);
    }
    floats[i] = read(at);
  }
  return floats;
}

/** Item i as a double. */
function itemReader({ kind, size, bigEndian }: Dtype, data: Uint8Array): (i: number) => number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const little = !bigEndian;
  switch (`${kind}${size}`) {
    case "f8":
      return (i) => view.getFloat64(i * 8, little);
    case "f4":
      return (i) => view.getFloat32(i * 4, little);
    case "f2":
      return (i) => toHalf(view.getUint16(i * 2, little));
    case "B2":
      return (i) => fromBits(view.getUint16(i * 2, little));
    case "i8":
      return (i) => Number(view.getBigInt64(i * 8, little));
    case "u8":
      return (i) => Number(view.getBigUint64(i * 8, little));
    case "i4":
      return (i) => view.getInt32(i * 4, little);
    case "u4":
      return (i) => view.getUint32(i * 4, little);
    case "i2":
      return (i) => view.getInt16(i * 2, little);
    case "u2":
      return (i) => view.getUint16(i * 2, little);
    case "i1":
      return (i) => view.getInt8(i);
    case "u1":
    case "b1":
      return (i) => view.getUint8(i);
    default:
      return refuseImport(`an array of type ${kind}${size} is not one of numbers that are read`);
  }
}

function toHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** bfloat16: the upper half of a single. */
function fromBits(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits << 16);
  return view.getFloat32(0);
}

/** An array of labels: texts as they are, numbers as Python writes whole ones. */
export function toTexts(value: Value | undefined): readonly string[] {
  if (!(value instanceof NumericArray)) return refuseImport("an array of labels is missing");
  const { dtype, data, shape } = value;
  if (shape.length !== 1) return refuseImport("the labels are no plain list");
  if (!(data instanceof Uint8Array)) return (data as readonly Value[]).map(toLabel);
  if (dtype.kind !== "U" && dtype.kind !== "S") return Array.from(toFloats(value), String);
  return Array.from({ length: shape[0] ?? 0 }, (_, i) => {
    const item = data.subarray(i * dtype.size, (i + 1) * dtype.size);
    return dtype.kind === "S" ? ascii(item) : utf32(item, dtype.bigEndian);
  });
}

function toLabel(item: Value): string {
  if (typeof item === "string" || typeof item === "number") return String(item);
  if (typeof item === "boolean") return item ? "True" : "False";
  return refuseImport("a label is neither a text nor a number");
}

const ascii = (bytes: Uint8Array) => String.fromCharCode(...bytes).replace(/\0+$/, "");

function utf32(bytes: Uint8Array, bigEndian: boolean): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4) {
    const code = view.getUint32(i, !bigEndian);
    if (code > 0x10ffff) refuseImport("a label holds a character that is none");
    if (code !== 0) text += String.fromCodePoint(code);
  }
  return text;
}
