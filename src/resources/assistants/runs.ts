/** Runs: begun, waited for, answered, cancelled. One at a time for a thread. */
import { randomUUID } from "node:crypto";
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { StoredRecord } from "../../storage/record-store.ts";
import { optionalText } from "../fields.ts";
import { takeLease } from "../lease.ts";
import { getOwn, type PageLimits, readPageQuery, toListReply } from "../listing.ts";
import { readMetadata } from "../metadata.ts";
import { objectAt } from "./context.ts";
import { isRunOver, kinds, newId, seconds, toRun, toStep } from "./objects.ts";
import {
  assistantLimits,
  conflict,
  readMessages,
  readRunSettings,
  readToolOutputs,
  type ToolOutput,
} from "./read-body.ts";
import { driveRun } from "./run-loop.ts";
import type { RunWork, Tell } from "./run-work.ts";

export interface Runs {
  create(thread: string, body: JsonObject, caller: Caller, tell?: Tell): Promise<StartedRun>;
  submit(of: RunPlace, body: JsonObject, caller: Caller, tell?: Tell): Promise<StartedRun>;
  cancel(of: RunPlace, caller: Caller): Promise<JsonObject>;
  get(of: RunPlace, caller: Caller): Promise<JsonObject>;
  change(of: RunPlace, body: JsonObject, caller: Caller): Promise<JsonObject>;
  list(thread: string, query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  steps(of: RunPlace, query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  step(of: RunPlace, id: string, caller: Caller): Promise<JsonObject>;
  close(): Promise<void>;
}

export interface RunPlace {
  readonly thread: string;
  readonly run: string;
}

export interface StartedRun {
  readonly run: JsonObject;
  /** Resolves when it has ended, or waits for tool outputs. */
  readonly done: Promise<void>;
}

/** As OpenAI has it: a run that waits longer for its caller has expired. */
const lifeS = 600;
const pages: PageLimits = { preset: 20, most: 100 };
const silent: Tell = () => undefined;

export function createRuns(work: RunWork): Runs {
  const { records, services } = work;
  const holder = randomUUID();
  const running = new Map<
    string,
    { readonly stop: AbortController; readonly done: Promise<void> }
  >();
  const nowS = () => seconds(services().clock.now());

  function begin(record: StoredRecord, caller: Caller, tell: Tell): Promise<void> {
    const stop = new AbortController();
    const done = drive(record.id, caller, stop, tell);
    running.set(record.id, { stop, done });
    return done;
  }

  async function drive(id: string, caller: Caller, stop: AbortController, tell: Tell) {
    const { clock, onInternalFailure } = services();
    const onLost = () => stop.abort(new GatewayError("caller_gone", "The run was lost."));
    try {
      const lease = await takeLease(`run:${id}`, { records, clock, holder, onLost });
      if (!lease) return;
      try {
        await driveRun(id, work, { caller, signal: stop.signal, tell });
      } finally {
        await lease.release();
      }
    } catch (thrown) {
      onInternalFailure(thrown);
    } finally {
      running.delete(id);
    }
  }

  /** As it stands: one that waited too long has expired, one whose process is gone has failed. */
  async function settle(record: StoredRecord): Promise<StoredRecord> {
    const { status } = record.value;
    if (isRunOver(status) || running.has(record.id)) return record;
    if (status === "requires_action" || status === "queued") {
      if (Number(record.value["expires_at"]) > nowS()) return record;
      return (await end(record, { status: "expired", last_error: expiredError })) ?? record;
    }
    const lease = await records.get("lease", `run:${record.id}`);
    if (lease && Number(lease.value["until"]) > services().clock.now()) return record;
    const cancelled = { status: "cancelled", cancelled_at: nowS() };
    const failed = { status: "failed", failed_at: nowS(), last_error: lostError };
    return (await end(record, status === "cancelling" ? cancelled : failed)) ?? record;
  }

  const end = (record: StoredRecord, more: JsonObject) =>
    records.update(kinds.run, record.id, ({ value }) =>
      isRunOver(value["status"]) ? undefined : { value: { ...value, ...more }, tag: "done" },
    );

  async function find({ thread, run }: RunPlace, caller: Caller): Promise<StoredRecord> {
    await getOwn(records, kinds.thread, thread, caller);
    const record = await getOwn(records, kinds.run, run, caller);
    if (record.parent === thread) return settle(record);
    throw new GatewayError("not_found", `No run found with id '${run.slice(0, 64)}'.`);
  }

  async function assertFree(thread: string): Promise<void> {
    const open = await records.list({ kind: kinds.run, parent: thread, tag: "open", limit: 100 });
    for (const record of open.records) {
      const settled = await settle(record);
      if (isRunOver(settled.value["status"])) continue;
      throw conflict(`Thread ${thread} already has an active run ${record.id}.`);
    }
  }

  return {
    async create(thread, body, caller, tell = silent) {
      const held = await getOwn(records, kinds.thread, thread, caller);
      const assistantId = optionalText(body, "assistant_id", 128) ?? "";
      const assistant = await getOwn(records, kinds.assistant, assistantId, caller);
      const settings = mergeSettings(assistant, body);
      const messages = readMessages(body, "additional_messages", "additional_messages");
      const metadata = readMetadata(body["metadata"]) ?? {};
      await assertFree(thread);
      const owner = held.owner;
      await records.putAll(
        messages.map((value, i) => ({
          kind: kinds.message,
          id: newId("msg"),
          owner,
          parent: thread,
          // In their order, however fast they came.
          createdMs: services().clock.now() + i,
          value,
        })),
      );
      const record = await records.put({
        kind: kinds.run,
        id: newId("run"),
        owner,
        parent: thread,
        tag: "open",
        value: {
          status: "queued",
          assistant_id: assistantId,
          settings,
          tool_resources: mergeResources(assistant, held),
          metadata,
          expires_at: nowS() + lifeS,
        },
      });
      const run = toRun(record);
      tell("thread.run.created", run);
      tell("thread.run.queued", run);
      return { run, done: begin(record, caller, tell) };
    },
    async submit(of, body, caller, tell = silent) {
      const record = await find(of, caller);
      const outputs = readToolOutputs(body);
      const next = await takeOutputs(record, outputs);
      const run = toRun(next);
      tell("thread.run.queued", run);
      return { run, done: begin(next, caller, tell) };
    },
    async cancel(of, caller) {
      const record = await find(of, caller);
      const { status } = record.value;
      if (isRunOver(status)) throw conflict(`Cannot cancel run with status '${String(status)}'.`);
      const live = running.get(record.id);
      const next = live
        ? await records.update(kinds.run, record.id, ({ value }) => ({
            value: { ...value, status: "cancelling" },
          }))
        : await end(record, { status: "cancelled", cancelled_at: nowS() });
      live?.stop.abort(new GatewayError("caller_gone", "The run was cancelled."));
      return toRun(next ?? record);
    },
    get: async (of, caller) => toRun(await find(of, caller)),
    async change(of, body, caller) {
      const record = await find(of, caller);
      const metadata = readMetadata(body["metadata"]) ?? {};
      const next = await records.update(kinds.run, record.id, ({ value }) => ({
        value: { ...value, metadata },
      }));
      return toRun(next ?? record);
    },
    async list(thread, query, caller) {
      await getOwn(records, kinds.thread, thread, caller);
      const page = readPageQuery(query, pages);
      return toListReply(await records.list({ kind: kinds.run, parent: thread, ...page }), toRun);
    },
    async steps(of, query, caller) {
      const { id } = await find(of, caller);
      const page = readPageQuery(query, pages);
      return toListReply(await records.list({ kind: kinds.step, parent: id, ...page }), toStep);
    },
    async step(of, id, caller) {
      await find(of, caller);
      const step = await getOwn(records, kinds.step, id, caller);
      if (step.parent === of.run) return toStep(step);
      throw new GatewayError("not_found", `No run step found with id '${id.slice(0, 64)}'.`);
    },
    async close() {
      const left = [...running.values()];
      for (const { stop } of left) {
        stop.abort(
          new GatewayError("draining", "The gateway stopped while this ran. Run it again."),
        );
      }
      await Promise.all(left.map(({ done }) => done));
    },
  };

  /** All that were asked for, or none. */
  async function takeOutputs(
    record: StoredRecord,
    outputs: readonly ToolOutput[],
  ): Promise<StoredRecord> {
    if (record.value["status"] !== "requires_action") {
      throw conflict(
        `Runs in status "${String(record.value["status"])}" do not accept tool outputs.`,
      );
    }
    const action = objectAt(objectAt(record.value, "required_action"), "submit_tool_outputs");
    const calls = Array.isArray(action["tool_calls"]) ? action["tool_calls"].filter(isObject) : [];
    const given = new Map(outputs.map(({ id, output }) => [id, output]));
    const missing = calls.filter(({ id }) => !given.has(String(id)));
    if (missing.length > 0 || given.size !== calls.length) {
      const wanted = calls.map(({ id }) => String(id)).join(", ");
      throw conflict(`Expected tool outputs for call_ids [${wanted}], each once.`);
    }
    const next = await records.update(kinds.run, record.id, ({ value }) => {
      if (value["status"] !== "requires_action") return undefined;
      const transcript = Array.isArray(value["transcript"]) ? value["transcript"] : [];
      const said = calls.map(({ id }) => ({
        role: "tool",
        tool_call_id: id ?? "",
        content: given.get(String(id)) ?? "",
      }));
      const status = "queued";
      return {
        value: { ...value, status, transcript: [...transcript, ...said], required_action: null },
      };
    });
    if (next?.value["status"] !== "queued") throw conflict("The run no longer waits for outputs.");
    await closeStep(String(record.value["waiting_step"] ?? ""), given);
    return next;
  }

  async function closeStep(id: string, given: ReadonlyMap<string, string>): Promise<void> {
    await records.update(kinds.step, id, ({ value }) => {
      const details = objectAt(value, "step_details");
      const calls = Array.isArray(details["tool_calls"])
        ? details["tool_calls"].filter(isObject)
        : [];
      const tool_calls = calls.map((call) =>
        isObject(call["function"])
          ? {
              ...call,
              function: { ...call["function"], output: given.get(String(call["id"])) ?? null },
            }
          : call,
      );
      const usage = value["pending_usage"] ?? null;
      return {
        value: {
          ...value,
          status: "completed",
          ended_at: nowS(),
          usage,
          step_details: { ...details, tool_calls },
        },
      };
    });
  }
}

const expiredError = { code: "server_error", message: "The run waited too long for its caller." };
const lostError = {
  code: "server_error",
  message: "The gateway stopped while this ran. Run it again.",
};

/** The run's own word, then the assistant's. */
function mergeSettings({ value }: StoredRecord, body: JsonObject): JsonObject {
  const own = Object.fromEntries(
    Object.entries(readRunSettings(body)).filter(([, given]) => given !== null),
  );
  const merged: Record<string, JsonObject[string]> = { ...value, ...own };
  const more = optionalText(body, "additional_instructions", assistantLimits.instructionChars);
  const instructions = String(merged["instructions"] ?? "");
  if (more) merged["instructions"] = instructions === "" ? more : `${instructions} ${more}`;
  return merged;
}

/** A thread's stores beside the assistant's. */
function mergeResources(assistant: StoredRecord, thread: StoredRecord): JsonObject {
  const ids = [assistant, thread].flatMap(({ value }) => {
    const search = objectAt(objectAt(value, "tool_resources"), "file_search");
    return Array.isArray(search["vector_store_ids"]) ? search["vector_store_ids"].map(String) : [];
  });
  return { file_search: { vector_store_ids: [...new Set(ids)] } };
}
