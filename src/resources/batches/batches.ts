/**
 * Batches of the OpenAI API over any model of the gateway: JSON Lines in, JSON Lines out, asked when
 * live traffic leaves room, gone on with after a crash. Callers see their own.
 * Source: https://platform.openai.com/docs/api-reference/batch
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Caller } from "../../domain/call.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import { type RecordStore, recordFileName, type StoredRecord } from "../../storage/record-store.ts";
import type { Files } from "../files/files.ts";
import { takeLease } from "../lease.ts";
import { getOwn, type PageLimits, readPageQuery, toListReply } from "../listing.ts";
import { readMetadata } from "../metadata.ts";
import { batchKind, doneTag, openTag, stateOf, toBatchObject } from "./batch.ts";
import { batchEndpoints } from "./request-line.ts";
import { runBatch } from "./run-batch.ts";

export interface Batches {
  /** @throws GatewayError invalid_request, not_found, storage_failed */
  create(body: JsonObject, caller: Caller): Promise<JsonObject>;
  get(id: string, caller: Caller): Promise<JsonObject>;
  list(query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  cancel(id: string, caller: Caller): Promise<JsonObject>;
  /** Goes on with what an earlier process, or another one that died, left. Repeats itself. */
  start(): void;
  /** Stops asking; what is under way is gone on with by the next process. */
  close(): Promise<void>;
}

export interface BatchesOptions {
  readonly records: RecordStore;
  readonly files: Files;
  readonly dataDir: string;
  readonly services: () => Services;
}

const pageLimits: PageLimits = { preset: 20, most: 100 };
const lookEveryMs = 20_000;
const windows: Readonly<Record<string, number>> = { h: 3_600, d: 86_400 };
const longestS = 7 * 86_400;

interface Running {
  readonly stop: AbortController;
  cancelled: boolean;
  readonly done: Promise<void>;
}

export function createBatches(options: BatchesOptions): Batches {
  const { records, files, services, dataDir } = options;
  const work = { records, files, folder: join(dataDir, "batches"), services };
  const running = new Map<string, Running>();
  const holder = randomUUID();
  let closed = false;
  let stopLooking: () => void = () => undefined;

  /** As many as may run at once; the rest waits for the next look, or for one that ends. */
  function begin(id: string): void {
    if (closed || running.has(id)) return;
    if (running.size >= services().config.routeiq.batches.maxRunning) return;
    const stop = new AbortController();
    const run: Running = { stop, cancelled: false, done: drive(id, stop) };
    running.set(id, run);
  }

  async function drive(id: string, stop: AbortController): Promise<void> {
    await Promise.resolve(); // after it is known as running
    const { clock, onInternalFailure } = services();
    const onLost = () => stop.abort(new Error("another process has it"));
    try {
      const lease = await takeLease(`batch:${id}`, { records, clock, holder, onLost });
      if (!lease) return;
      try {
        const cancelled = () => running.get(id)?.cancelled === true;
        await runBatch(id, work, { signal: stop.signal, cancelled });
      } finally {
        await lease.release();
      }
    } catch (thrown) {
      if (!stop.signal.aborted) onInternalFailure(thrown);
    } finally {
      running.delete(id);
    }
  }

  async function look(): Promise<void> {
    const { clock, onInternalFailure, activity } = services();
    try {
      if (!activity.draining && existsSync(join(dataDir, recordFileName))) await lookOnce();
    } catch (thrown) {
      onInternalFailure(thrown);
    }
    if (!closed) stopLooking = clock.after(lookEveryMs, () => void look());
  }

  async function lookOnce(): Promise<void> {
    const open = await records.list({ kind: batchKind, tag: openTag, order: "asc", limit: 1_000 });
    for (const record of open.records) {
      const run = running.get(record.id);
      if (!run) begin(record.id);
      // Cancelled at another process.
      else if (stateOf(record).status === "cancelling") stopFor(run);
    }
  }

  function stopFor(run: Running): void {
    run.cancelled = true;
    run.stop.abort(new GatewayError("caller_gone", "The batch was cancelled."));
  }

  return {
    async create(body, caller) {
      const { clock } = services();
      const value = await readRequest(body, caller, files, clock.now());
      const id = `batch_${randomUUID().replaceAll("-", "")}`;
      const made = await records.put({
        kind: batchKind,
        id,
        owner: caller.id,
        tag: openTag,
        value,
      });
      begin(id);
      return toBatchObject(made);
    },
    get: async (id, caller) => toBatchObject(await getOwn(records, batchKind, id, caller)),
    async list(query, caller) {
      const owner = caller.admin ? {} : { owner: caller.id };
      const page = readPageQuery(query, pageLimits);
      return toListReply(await records.list({ kind: batchKind, ...owner, ...page }), toBatchObject);
    },
    async cancel(id, caller) {
      await getOwn(records, batchKind, id, caller);
      const atS = Math.floor(services().clock.now() / 1000);
      const held = await records.update(batchKind, id, (record) =>
        isOpen(record)
          ? { value: { ...record.value, status: "cancelling", cancelling_at: atS } }
          : undefined,
      );
      if (!held || stateOf(held).status !== "cancelling") throw over(id, held);
      const run = running.get(id);
      if (run) stopFor(run);
      else begin(id);
      return toBatchObject(held);
    },
    start() {
      stopLooking = services().clock.after(1_000, () => void look());
    },
    async close() {
      closed = true;
      stopLooking();
      for (const { stop } of running.values()) stop.abort(new Error("the gateway closes"));
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}

const isOpen = (record: StoredRecord) =>
  record.tag !== doneTag && /^(validating|in_progress)$/.test(stateOf(record).status);

function over(id: string, record: StoredRecord | undefined): GatewayError {
  const status = record ? stateOf(record).status : "gone";
  const message = `Batch '${excerpt(id)}' is ${status} and cannot be cancelled.`;
  return new GatewayError("invalid_request", message);
}

async function readRequest(
  body: JsonObject,
  caller: Caller,
  files: Files,
  nowMs: number,
): Promise<JsonObject> {
  const { endpoint, input_file_id: input, completion_window: window = "24h" } = body;
  if (typeof endpoint !== "string" || !(endpoint in batchEndpoints)) {
    const known = Object.keys(batchEndpoints).join(", ");
    throw invalid("endpoint", `'endpoint' must be one of ${known}.`);
  }
  if (typeof input !== "string") {
    throw invalid("input_file_id", "'input_file_id' must name an uploaded file.");
  }
  const file = await files.get(input, caller).catch((thrown: unknown) => {
    if (!(thrown instanceof GatewayError) || thrown.code !== "not_found") throw thrown;
    throw invalid("input_file_id", `There is no file '${excerpt(input)}'.`);
  });
  if (file["purpose"] !== "batch") {
    throw invalid(
      "input_file_id",
      `The file's purpose must be 'batch'; it is '${file["purpose"]}'.`,
    );
  }
  const seconds = readWindow(window);
  return {
    status: "validating",
    endpoint,
    input_file_id: input,
    completion_window: String(window),
    metadata: readMetadata(body["metadata"]) ?? null,
    caller: { id: caller.id, tenant: caller.tenant, admin: caller.admin },
    expires_at: Math.floor(nowMs / 1000) + seconds,
    total: 0,
  };
}

/** OpenAI takes "24h" alone. */
function readWindow(window: unknown): number {
  const match = /^([1-9]\d{0,2})([hd])$/.exec(String(window));
  const seconds = Number(match?.[1]) * (windows[match?.[2] ?? ""] ?? Number.NaN);
  if (seconds <= longestS) return seconds;
  throw invalid("completion_window", "'completion_window' must be like '24h', at most '7d'.");
}

function invalid(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, { param });
}
