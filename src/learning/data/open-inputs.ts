/**
 * What `--data` names: files, folders of them, S3 prefixes, and Jaeger's query service. Folders and
 * prefixes give every file whose suffix says that it holds rows, in the order of their names.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { openRepository, type StoreAccess } from "../artifacts/open-repository.ts";
import { fromBytes, type InputFile, openLocalFile } from "./input-file.ts";
import { isJaegerAddress, readJaeger } from "./jaeger-api.ts";
import { type DataProblems, unreadable } from "./problems.ts";

export interface NamedInput {
  /** For messages and prices beside it. */
  readonly name: string;
  open(): Promise<InputFile>;
}

export const inputLimits = {
  /** Files of a folder or a prefix. */
  files: 100_000,
  /** One object of a bucket: it is read whole. */
  objectBytes: 512 * 1024 * 1024,
  /** Reads of an object before it counts as lost. */
  attempts: 4,
} as const;

/** Suffixes of files that may hold rows; `models.json` and its kin hold prices. */
const rowSuffix = /\.(jsonl|ndjson|json|csv|tsv|parquet|pq)(\.(gz|gzip|zst|zstd))?$/i;
const priceFile = /(^|\/)(models|llm_candidates)\.json$/i;

export interface InputAccess {
  /** Undefined where only files can be read. */
  readonly store: StoreAccess | undefined;
  readonly problems: DataProblems;
}

/** @throws GatewayError invalid_request where an address names nothing */
export async function* openInputs(
  addresses: readonly string[],
  access: InputAccess,
): AsyncGenerator<NamedInput> {
  for (const address of addresses) yield* openInput(address, access);
}

async function* openInput(address: string, access: InputAccess): AsyncGenerator<NamedInput> {
  if (isJaegerAddress(address)) {
    const { outbound, clock } = needStore(address, access);
    const { problems } = access;
    for await (const file of readJaeger(address, { outbound, clock, problems })) {
      yield { name: file.name, open: async () => file };
    }
    return;
  }
  if (address.startsWith("s3://")) {
    yield* openPrefix(address, needStore(address, access));
    return;
  }
  const found = await stat(address).catch(() => undefined); // openLocalFile says what is wrong
  if (!found?.isDirectory()) {
    yield { name: address, open: () => openLocalFile(address) };
    return;
  }
  const names = (await readdir(address, { recursive: true })).filter(holdsRows).sort();
  if (names.length === 0) throw unreadable(address, "the folder holds no file of rows");
  if (names.length > inputLimits.files) {
    throw unreadable(address, `more than ${inputLimits.files} files`);
  }
  for (const name of names) {
    const path = join(address, name);
    yield { name: path, open: () => openLocalFile(path) };
  }
}

const holdsRows = (name: string) => rowSuffix.test(name) && !priceFile.test(name);

function needStore(address: string, { store }: InputAccess): StoreAccess {
  if (store) return store;
  throw unreadable(address, "only files can be read here");
}

/** An object, or all that lie under a prefix. */
async function* openPrefix(address: string, access: StoreAccess): AsyncGenerator<NamedInput> {
  const file = rowSuffix.test(address) ? address.lastIndexOf("/") : -1;
  const store = openRepository(file > 0 ? address.slice(0, file) : address, access);
  try {
    const keys = file > 0 ? [address.slice(file + 1)] : (await store.list("")).filter(holdsRows);
    if (keys.length === 0) throw unreadable(address, "nothing there holds rows");
    for (const key of keys) {
      const name = `${store.url}/${key}`;
      yield { name, open: async () => fromBytes(name, await getObject(store, key, access)) };
    }
  } finally {
    store.close();
  }
}

/** Failures that may be over the next time. */
const passing: ReadonlySet<string> = new Set([
  "storage_failed",
  "upstream_unreachable",
  "upstream_timeout",
]);

/**
 * The bytes of an object; tried again where the network fails, so that one lost connection does not
 * end a long read. @throws GatewayError storage_failed, invalid_request where it is gone or too large
 */
export async function getObject(
  store: ObjectStore,
  key: string,
  { clock }: Pick<StoreAccess, "clock">,
): Promise<Uint8Array> {
  const { objectBytes, attempts } = inputLimits;
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await store.get(key, { maxBytes: objectBytes });
      if (!found || found === "not-modified") throw unreadable(`${store.url}/${key}`, "it is gone");
      if (found.bytes.length > objectBytes) {
        throw unreadable(`${store.url}/${key}`, `over ${objectBytes >> 20} MiB; split it`);
      }
      return found.bytes;
    } catch (error) {
      const again = error instanceof GatewayError && passing.has(error.code);
      if (!again || attempt >= attempts) throw error;
      await new Promise<void>((resolve) => clock.after(250 * 4 ** (attempt - 1), resolve));
    }
  }
}
