/**
 * Torch's storages and tensors, in both of its formats: the zip archive of today, and the row of
 * pickles before it, which is also what `pickle.dump` makes of a tensor.
 * Source: torch/serialization.py (_legacy_load, _load), torch/_utils.py (_rebuild_tensor_v2)
 */
import { countOf, toShape } from "./numpy.ts";
import { readPickle } from "./pickle.ts";
import { type Budget, enter, type Globals } from "./pickle-options.ts";
import { Reader } from "./reader.ts";
import { Dtype, Named, refuseImport, Storage, Tensor, type Value } from "./values.ts";
import { openZip } from "./zip.ts";

interface Loading {
  readonly globals: Globals;
  readonly budget: Budget;
}

const dtypes: Readonly<Record<string, readonly [kind: string, size: number]>> = {
  "torch.FloatStorage": ["f", 4],
  "torch.DoubleStorage": ["f", 8],
  "torch.HalfStorage": ["f", 2],
  "torch.BFloat16Storage": ["B", 2],
  "torch.LongStorage": ["i", 8],
  "torch.IntStorage": ["i", 4],
  "torch.ShortStorage": ["i", 2],
  "torch.CharStorage": ["i", 1],
  "torch.ByteStorage": ["u", 1],
  "torch.BoolStorage": ["b", 1],
};

/** A persistent id: ("storage", type, key, device, number of items). */
function toStorage(id: Value, bytesOf: (key: string) => Uint8Array | undefined) {
  const [what, type, key, , items] = Array.isArray(id) ? (id as Value[]) : [];
  const kind = type instanceof Named ? dtypes[type.name] : undefined;
  if (what !== "storage" || !kind || typeof key !== "string" || !Number.isSafeInteger(items)) {
    return refuseImport("the file refers to something that is no storage of numbers");
  }
  const storage = new Storage(new Dtype(...kind), Number(items), undefined);
  fill(storage, bytesOf(key));
  return { key, storage };
}

function fill(storage: Storage, bytes: Uint8Array | undefined): void {
  if (bytes && bytes.length !== storage.items * storage.dtype.size) {
    refuseImport("a storage has not as many items as the file says of it");
  }
  storage.bytes = bytes;
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, …)`. */
export function rebuildTensor([storage, offset, size, stride]: readonly Value[]): Tensor {
  if (!(storage instanceof Storage)) return refuseImport("a tensor has no storage");
  const shape = toShape(size ?? null);
  const steps = toShape(stride ?? null);
  const from = Number(offset);
  const fits = steps.length === shape.length && Number.isSafeInteger(from) && from >= 0;
  const last = shape.reduce((sum, side, k) => sum + (side - 1) * (steps[k] as number), from);
  if (!fits || countOf(shape) > storage.items || (countOf(shape) > 0 && last >= storage.items)) {
    return refuseImport("a tensor reaches beyond its storage");
  }
  return new Tensor(storage, from, shape, steps);
}

/** `torch.storage._load_from_bytes`: the older format, within a pickle. */
export function loadFromBytes(bytes: Value, loading: Loading): Value {
  if (!(bytes instanceof Uint8Array)) return refuseImport("a storage's bytes are none");
  enter(loading.budget);
  const value = readLegacyTorch(bytes, loading);
  loading.budget.nested++;
  return value;
}

const legacyMagic = 0x1950a86a20f9469cfc6cn;

/** True for a file in the older format: it begins with a pickled number. */
export function isLegacyTorch(bytes: Uint8Array): boolean {
  const start = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
  ];
  return start.every((byte, i) => bytes[i] === byte);
}

/** Magic number, protocol, system, the object, the keys of its storages; then these, in that order. */
export function readLegacyTorch(bytes: Uint8Array, loading: Loading): Value {
  const reader = new Reader(bytes);
  if (readPickle(reader, loading) !== legacyMagic) refuseImport("a storage is in no known format");
  if (readPickle(reader, loading) !== 1001) refuseImport("the Torch file is of another protocol");
  const system = readPickle(reader, loading);
  if (system instanceof Map && system.get("little_endian") === false) {
    refuseImport("the Torch file was written on a big-endian machine");
  }
  const storages = new Map<string, Storage[]>();
  const value = readPickle(reader, {
    ...loading,
    persistent(id) {
      const { key, storage } = toStorage(id, () => undefined);
      storages.set(key, [...(storages.get(key) ?? []), storage]);
      return storage;
    },
  });
  const keys = readPickle(reader, loading);
  if (!Array.isArray(keys)) return refuseImport("the Torch file names no storages");
  for (const key of keys as readonly Value[]) {
    const held = storages.get(String(key));
    const [first] = held ?? [];
    if (!held || !first) return refuseImport("the Torch file has a storage that nothing uses");
    const items = reader.u64();
    if (items !== first.items) refuseImport("a storage has not as many items as the file says");
    const data = reader.take(items * first.dtype.size);
    for (const storage of held) fill(storage, data);
  }
  return value;
}

/** `torch.save` as a zip archive: `NAME/data.pkl`, and a file per storage under `NAME/data/`. */
export function readTorchZip(bytes: Uint8Array, loading: Loading): Value {
  const entries = openZip(bytes);
  const path = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  const folder = path?.slice(0, -"data.pkl".length);
  const pickle = path === undefined ? undefined : entries.get(path);
  if (!pickle)
    return refuseImport("the zip archive holds no data.pkl: it is no file of torch.save");
  const order = entries.get(`${folder}byteorder`);
  if (order && new TextDecoder().decode(order) !== "little") {
    refuseImport("the Torch file was written on a big-endian machine");
  }
  return readPickle(new Reader(pickle), {
    ...loading,
    persistent: (id) =>
      toStorage(id, (key) => {
        const found = entries.get(`${folder}data/${key}`);
        return found ?? refuseImport(`the Torch file has no storage "${key.slice(0, 40)}"`);
      }).storage,
  });
}
