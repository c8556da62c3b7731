/**
 * Assistants, threads and messages of the OpenAI API, kept working over any model that chats. OpenAI
 * has withdrawn them; what runs on them need not be rewritten. Callers see their own.
 * Source: https://platform.openai.com/docs/api-reference/assistants
 */
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { StoredRecord } from "../../storage/record-store.ts";
import { getOwn, type PageLimits, readPageQuery, toListReply } from "../listing.ts";
import { readMetadata } from "../metadata.ts";
import { kinds, newId, toAssistant, toMessage, toThread } from "./objects.ts";
import { readAssistant, readMessage, readMessages, readThread } from "./read-body.ts";
import type { RunWork } from "./run-work.ts";
import { createRuns, type Runs } from "./runs.ts";

/** @throws GatewayError invalid_request, not_found, storage_failed from every method */
export interface Assistants {
  create(body: JsonObject, caller: Caller): Promise<JsonObject>;
  get(id: string, caller: Caller): Promise<JsonObject>;
  change(id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  remove(id: string, caller: Caller): Promise<JsonObject>;
  list(query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  readonly threads: Threads;
  readonly messages: Messages;
  readonly runs: Runs;
}

export interface Threads {
  create(body: JsonObject, caller: Caller): Promise<JsonObject>;
  get(id: string, caller: Caller): Promise<JsonObject>;
  change(id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  /** With its messages, runs and steps. */
  remove(id: string, caller: Caller): Promise<JsonObject>;
}

export interface Messages {
  create(thread: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  get(thread: string, id: string, caller: Caller): Promise<JsonObject>;
  change(thread: string, id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  remove(thread: string, id: string, caller: Caller): Promise<JsonObject>;
  list(thread: string, query: URLSearchParams, caller: Caller): Promise<JsonObject>;
}

const pages: PageLimits = { preset: 20, most: 100 };

export function createAssistants(work: RunWork): Assistants {
  const { records } = work;
  const { assistant: kind } = kinds;
  return {
    async create(body, caller) {
      const value = readAssistant(body, true);
      return toAssistant(await records.put({ kind, id: newId("asst"), owner: caller.id, value }));
    },
    get: async (id, caller) => toAssistant(await getOwn(records, kind, id, caller)),
    async change(id, body, caller) {
      const held = await getOwn(records, kind, id, caller);
      const next = readAssistant(body, false);
      const changed = await records.update(kind, id, ({ value }) => ({
        value: { ...value, ...next },
      }));
      return toAssistant(changed ?? held);
    },
    async remove(id, caller) {
      await getOwn(records, kind, id, caller);
      await records.remove(kind, id);
      return { id, object: "assistant.deleted", deleted: true };
    },
    async list(query, caller) {
      const owner = caller.admin ? {} : { owner: caller.id };
      const page = readPageQuery(query, pages);
      return toListReply(await records.list({ kind, ...owner, ...page }), toAssistant);
    },
    threads: createThreads(work),
    messages: createMessages(work),
    runs: createRuns(work),
  };
}

function createThreads(work: RunWork): Threads {
  const { records, services } = work;
  const { thread: kind } = kinds;
  return {
    async create(body, caller) {
      const messages = readMessages(body, "messages", "messages");
      const value = readThread(body);
      const thread = await records.put({ kind, id: newId("thread"), owner: caller.id, value });
      const nowMs = services().clock.now();
      await records.putAll(
        messages.map((message, i) => ({
          kind: kinds.message,
          id: newId("msg"),
          owner: caller.id,
          parent: thread.id,
          createdMs: nowMs + i,
          value: message,
        })),
      );
      return toThread(thread);
    },
    get: async (id, caller) => toThread(await getOwn(records, kind, id, caller)),
    async change(id, body, caller) {
      const held = await getOwn(records, kind, id, caller);
      const next = readThread(body);
      const changed = await records.update(kind, id, ({ value }) => ({
        value: { ...value, ...next },
      }));
      return toThread(changed ?? held);
    },
    async remove(id, caller) {
      await getOwn(records, kind, id, caller);
      for (let page = await runsOf(id); page.length > 0; page = await runsOf(id)) {
        for (const run of page) {
          await records.removeAll(kinds.step, run.id);
          await records.remove(kinds.run, run.id);
        }
      }
      await records.removeAll(kinds.message, id);
      await records.remove(kind, id);
      return { id, object: "thread.deleted", deleted: true };
    },
  };

  async function runsOf(thread: string): Promise<readonly StoredRecord[]> {
    return (await records.list({ kind: kinds.run, parent: thread, limit: 1_000 })).records;
  }
}

function createMessages(work: RunWork): Messages {
  const { records } = work;
  const { message: kind } = kinds;

  async function find(thread: string, id: string, caller: Caller): Promise<StoredRecord> {
    await getOwn(records, kinds.thread, thread, caller);
    const message = await getOwn(records, kind, id, caller);
    if (message.parent === thread) return message;
    throw new GatewayError("not_found", `No message found with id '${id.slice(0, 64)}'.`);
  }

  return {
    async create(thread, body, caller) {
      const { owner } = await getOwn(records, kinds.thread, thread, caller);
      const value = readMessage(body);
      const message = { kind, id: newId("msg"), owner, parent: thread, value };
      return toMessage(await records.put(message));
    },
    get: async (thread, id, caller) => toMessage(await find(thread, id, caller)),
    async change(thread, id, body, caller) {
      const held = await find(thread, id, caller);
      const metadata = readMetadata(body["metadata"]) ?? {};
      const changed = await records.update(kind, id, ({ value }) => ({
        value: { ...value, metadata },
      }));
      return toMessage(changed ?? held);
    },
    async remove(thread, id, caller) {
      await find(thread, id, caller);
      await records.remove(kind, id);
      return { id, object: "thread.message.deleted", deleted: true };
    },
    async list(thread, query, caller) {
      await getOwn(records, kinds.thread, thread, caller);
      const run = query.get("run_id");
      const of = { kind, parent: thread, ...(run === null ? {} : { tag: run }) };
      const page = readPageQuery(query, pages);
      return toListReply(await records.list({ ...of, ...page }), toMessage);
    },
  };
}
