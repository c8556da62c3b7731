/**
 * What a pickle becomes here: plain values, and objects that are only a name and its data. Nothing in
 * it can be called.
 */
import { GatewayError } from "../../domain/errors.ts";

/**
 * None is null; a list and a tuple are arrays; bytes are Uint8Array; an integer beyond 2⁵³ is a
 * bigint; a dict is a Map, and so never has a prototype.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | Map<Value, Value>
  | Named
  | Instance
  | Dtype
  | NumericArray
  | Storage
  | Tensor;

/** A class or function by its name, as a pickle asks for it: `numpy.ndarray`. */
export class Named {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** An object of a class: what it was made from, and its state. */
export class Instance {
  /** With its module: `sklearn.svm._classes.SVC`. */
  readonly type: string;
  readonly args: readonly Value[];
  state: Value = null;
  /** What was put into it as into a list or a dict. */
  readonly items: Value[] = [];
  readonly entries = new Map<Value, Value>();
  constructor(type: string, args: readonly Value[]) {
    this.type = type;
    this.args = args;
  }
  /** The class's name alone. */
  get className(): string {
    return this.type.slice(this.type.lastIndexOf(".") + 1);
  }
  /** An attribute of its state; undefined where there is none. */
  get(name: string): Value | undefined {
    return this.state instanceof Map ? this.state.get(name) : undefined;
  }
}

/** A numpy dtype: `kind` is its letter (f i u b U S O V, and B for bfloat16), `size` bytes an item. */
export class Dtype {
  readonly kind: string;
  readonly size: number;
  bigEndian = false;
  constructor(kind: string, size: number) {
    this.kind = kind;
    this.size = size;
  }
}

/** A numpy array, its items as they lay in the file. */
export class NumericArray {
  dtype: Dtype;
  shape: readonly number[];
  /** Columns first. */
  fortran: boolean;
  /** Raw items, or the objects of an array of objects. */
  data: Uint8Array | readonly Value[];
  constructor(
    dtype: Dtype,
    shape: readonly number[],
    fortran: boolean,
    data: Uint8Array | readonly Value[],
  ) {
    this.dtype = dtype;
    this.shape = shape;
    this.fortran = fortran;
    this.data = data;
  }
}

/** A Torch storage; in the older format its bytes come after the tensors that name it. */
export class Storage {
  readonly dtype: Dtype;
  readonly items: number;
  bytes: Uint8Array | undefined;
  constructor(dtype: Dtype, items: number, bytes: Uint8Array | undefined) {
    this.dtype = dtype;
    this.items = items;
    this.bytes = bytes;
  }
}

/** A Torch tensor: a view of a storage, in items. */
export class Tensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  constructor(
    storage: Storage,
    offset: number,
    shape: readonly number[],
    stride: readonly number[],
  ) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.stride = stride;
  }
}

/** What an import may take; whatever passes them is refused. */
export const importLimits = {
  fileBytes: 256 << 20,
  /** Unpacked, or of all arrays together. */
  totalBytes: 512 << 20,
  operations: 4_000_000,
  /** Values on the stack, and values remembered. */
  stack: 1_000_000,
  marks: 10_000,
  /** Pickles inside pickles: joblib's arrays of objects, Torch's storages. */
  nested: 4,
  integerBytes: 64,
  dimensions: 4,
  features: 8_192,
  labels: 1_024,
} as const;

/** The error of everything here: one file, one reason. */
export function refuseImport(why: string, cause?: unknown): never {
  throw new GatewayError("artifact_refused", why, cause === undefined ? undefined : { cause });
}
