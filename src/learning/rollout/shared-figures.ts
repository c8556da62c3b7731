/**
 * Figures that several processes and gateways count apart, kept where all of them read: an object a
 * process, written whole by it alone. Runs in the background thread.
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import { parseJson } from "../../std/json.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { openRepository, type S3Settings, type StoreAccess } from "../artifacts/open-repository.ts";

export interface ShareParams {
  /** A folder or `s3://bucket/prefix`. */
  readonly address: string;
  readonly s3: S3Settings;
  /** Of this process, different from all others'. Letters, digits, "-". */
  readonly member: string;
  readonly state: JsonObject;
  readonly nowMs: number;
}

/** The service `figures` of the background thread. */
export interface FigureService {
  /** Keeps the state of this process, and gives those of all others. @throws GatewayError storage_failed */
  exchange(params: ShareParams): Promise<readonly JsonObject[]>;
}

const prefix = "experiments/";
/** Of one process: some 10 kB a variant. */
const stateBytes = 8 << 20;
/** Processes whose figures are counted: past them the last by name are left out. */
export const mostMembers = 500;
/** A process that is long gone belongs to an experiment that is over. */
export const keptMs = 60 * 86_400_000;

export function createFigureThread(access: Omit<StoreAccess, "s3">): FigureService {
  const stores = new Map<string, ObjectStore>();
  /** What was read before is asked for by its tag. */
  const read = new Map<string, { readonly etag: string; readonly saved: unknown }>();

  function storeOf({ address, s3 }: ShareParams): ObjectStore {
    const held = stores.get(address) ?? openRepository(address, { ...access, s3 });
    stores.set(address, held);
    return held;
  }

  async function readOne(store: ObjectStore, key: string): Promise<unknown> {
    const at = `${store.url} ${key}`;
    const before = read.get(at);
    const ask = { maxBytes: stateBytes, ...(before && { ifNoneMatch: before.etag }) };
    const found = await store.get(key, ask);
    if (found === undefined) return undefined;
    if (found === "not-modified") return before?.saved;
    const saved = found.bytes.length > stateBytes ? undefined : toValue(found.bytes);
    read.set(at, { etag: found.etag, saved });
    return saved;
  }

  return {
    async exchange(params) {
      const { member, state, nowMs } = params;
      const store = storeOf(params);
      const own = `${prefix}${member}.json`;
      await store.put(own, new TextEncoder().encode(JSON.stringify({ at: nowMs, state })));
      const keys = (await store.list(prefix)).filter((key) => key !== own).slice(0, mostMembers);
      const all = await Promise.all(keys.map((key) => readOne(store, key)));
      return all.flatMap((one) => {
        if (!isObject(one) || !isObject(one["state"])) return [];
        return nowMs - Number(one["at"]) > keptMs ? [] : [one["state"]];
      });
    },
  };
}

/** What is no JSON is nobody's figures. */
function toValue(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes);
  } catch {
    return undefined;
  }
}
