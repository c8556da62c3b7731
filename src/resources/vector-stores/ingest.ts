/**
 * A file on its way into a store: its text, its passages, their vectors, and all of it at once into
 * the store. What a crash cuts off is begun again; a file is in a store whole or not at all, once.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { CallFailed } from "../../pipeline/handle.ts";
import { RpcError } from "../../std/rpc.ts";
import { type RecordStore, recordFileName, type StoredRecord } from "../../storage/record-store.ts";
import { type Passage, vectorLimits } from "../../storage/vectors.ts";
import type { Files } from "../files/files.ts";
import { takeLease } from "../lease.ts";
import type { VectorBackends } from "./backends.ts";
import type { DocumentReader } from "./document-reader.ts";
import { type EmbedSources, embedTexts } from "./embed.ts";
import { extractLimits } from "./extract-text.ts";
import { kinds } from "./objects.ts";
import { chunksOf } from "./read-body.ts";

export interface IngestParts extends EmbedSources {
  readonly records: RecordStore;
  readonly files: Files;
  readonly backends: VectorBackends;
  readonly reader: DocumentReader;
  readonly dataDir: string;
}

export interface Ingest {
  /** A record of a file that is in progress. */
  add(id: string): void;
  /** Goes on with what an earlier process left. Repeats itself. */
  start(): void;
  close(): Promise<void>;
}

/** Files at once, each with a thread that reads it. */
const atOnce = 2;
const lookEveryMs = 20_000;

export function createIngest(parts: IngestParts): Ingest {
  const { records, services, dataDir } = parts;
  const waiting = new Set<string>();
  const running = new Map<string, Promise<void>>();
  const stop = new AbortController();
  const holder = randomUUID();
  let stopLooking: () => void = () => undefined;

  function next(): void {
    for (const id of waiting) {
      if (running.size >= atOnce || stop.signal.aborted) return;
      waiting.delete(id);
      if (running.has(id)) continue;
      const done = work(id).finally(() => {
        running.delete(id);
        next();
      });
      running.set(id, done);
    }
  }

  async function work(id: string): Promise<void> {
    const { clock, onInternalFailure } = services();
    try {
      const lease = await takeLease(`ingest:${id}`, { records, clock, holder });
      if (!lease) return;
      try {
        await ingest(id, parts, stop.signal);
      } finally {
        await lease.release();
      }
    } catch (thrown) {
      if (!stop.signal.aborted) onInternalFailure(thrown);
    }
  }

  async function look(): Promise<void> {
    const { clock, onInternalFailure } = services();
    try {
      if (existsSync(join(dataDir, recordFileName))) {
        const query = { kind: kinds.file, tag: "in_progress", order: "asc", limit: 1_000 } as const;
        for (const { id } of (await records.list(query)).records) waiting.add(id);
        next();
      }
    } catch (thrown) {
      onInternalFailure(thrown);
    }
    if (!stop.signal.aborted) stopLooking = clock.after(lookEveryMs, () => void look());
  }

  return {
    add(id) {
      waiting.add(id);
      next();
    },
    start() {
      stopLooking = services().clock.after(1_000, () => void look());
    },
    async close() {
      stop.abort(new GatewayError("draining", "The gateway closes."));
      stopLooking();
      await Promise.all(running.values());
      parts.reader.close();
    },
  };
}

async function ingest(id: string, parts: IngestParts, signal: AbortSignal): Promise<void> {
  const { records, backends, services } = parts;
  const record = await records.get(kinds.file, id);
  if (record?.tag !== "in_progress") return;
  const store = record.parent;
  const fileId = String(record.value["file_id"]);
  try {
    const vectors = backends.of(await records.get(kinds.store, store));
    const passages = await readPassages(record, parts, signal);
    const attributes = isObject(record.value["attributes"]) ? record.value["attributes"] : {};
    const usage_bytes = sizeOf(passages);
    const { bytes } = await vectors.put(store, { id: fileId, attributes, passages });
    const done = await settle(record, parts, "completed", { usage_bytes });
    if (done?.tag !== "completed") await vectors.remove(store, fileId); // cancelled, or gone
    await records.update(kinds.store, store, ({ value }) => ({
      value: {
        ...value,
        usage_bytes: bytes ?? Number(value["usage_bytes"] ?? 0) + usage_bytes,
        last_active_at: nowS(parts),
      },
    }));
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const { code, message, ours } = toLastError(thrown);
    if (ours) services().onInternalFailure(thrown);
    await settle(record, parts, "failed", { last_error: { code, message } });
  }
}

/** A text, and a byte per number of its vector. */
const sizeOf = (passages: readonly Passage[]) =>
  passages.reduce((sum, { text, vector }) => sum + text.length + vector.length, 0);

const nowS = ({ services }: IngestParts) => Math.floor(services().clock.now() / 1000);

/** Never over a cancel. */
function settle(
  { id }: StoredRecord,
  { records }: IngestParts,
  status: "completed" | "failed",
  more: JsonObject,
): Promise<StoredRecord | undefined> {
  return records.update(kinds.file, id, ({ value, tag }) =>
    tag === "in_progress" ? { value: { ...value, ...more, status }, tag: status } : undefined,
  );
}

async function readPassages({ value }: StoredRecord, parts: IngestParts, signal: AbortSignal) {
  const caller = callerIn(value);
  const { file, blob } = await parts.files.open(String(value["file_id"]), caller);
  if (blob.sizeBytes > extractLimits.fileBytes) {
    throw new RpcError("invalid_file", `A document may have ${extractLimits.fileBytes} bytes.`);
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.content) pieces.push(piece);
  const document = {
    bytes: new Uint8Array(Buffer.concat(pieces)),
    filename: String(file["filename"]),
    chunks: chunksOf(value["chunking_strategy"]),
  };
  const texts = await parts.reader.read(document, signal);
  if (texts.length === 0)
    throw new RpcError(
      "invalid_file",
      "The document has no text; a scan has to be read (OCR) before it is stored.",
    );
  if (texts.length > vectorLimits.passages) {
    throw new RpcError("invalid_file", `The document has over ${vectorLimits.passages} passages.`);
  }
  const model = typeof value["embedding_model"] === "string" ? value["embedding_model"] : undefined;
  const embedded = await embedTexts({ texts, model, caller, signal }, parts);
  return texts.map((text, i) => ({ text, vector: embedded[i] ?? new Float32Array(0) }));
}

export function callerIn(value: JsonObject): Caller {
  const caller = isObject(value["caller"]) ? value["caller"] : {};
  const { id, tenant, admin } = caller;
  return { id: String(id), tenant: String(tenant ?? "default"), admin: admin === true };
}

function toLastError(thrown: unknown) {
  if (thrown instanceof RpcError) {
    const known = /^(invalid_file|unsupported_file)$/.test(thrown.code);
    return { code: known ? thrown.code : "server_error", message: thrown.message, ours: !known };
  }
  const error = thrown instanceof CallFailed ? thrown.error : thrown;
  if (error instanceof GatewayError) {
    const gone = error.code === "not_found";
    return { code: gone ? "invalid_file" : "server_error", message: error.message, ours: false };
  }
  return { code: "server_error", message: "The gateway failed to read the file.", ours: true };
}
