/**
 * A run from its beginning, or from its callers' tool outputs, to its end: the model is asked, its
 * words become a message, its calls of functions wait for the caller. All of it is recorded as it
 * happens, so that whoever asks sees how it stands.
 */
import type { Caller } from "../../domain/call.ts";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import type { HostedResult } from "../../domain/hosted-tool.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { CallFailed } from "../../pipeline/handle.ts";
import { asData } from "../../pipeline/hosted/as-data.ts";
import type { StoredRecord } from "../../storage/record-store.ts";
import { askModel, type ModelAnswer, type ToolCall } from "./ask-model.ts";
import { isFileSearch, objectAt, searchOptions, toChatBody } from "./context.ts";
import { MessageInProgress } from "./message-in-progress.ts";
import { isRunOver, kinds, newId, type RunStatus, seconds, toRun, toStep } from "./objects.ts";
import {
  assertMoney,
  openRunTools,
  type RunTools,
  runToolTypes,
  tookTooLong,
} from "./run-tools.ts";
import type { RunWork, Tell } from "./run-work.ts";

export interface RunDrive {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  readonly tell: Tell;
}

/** Of the model's answers in one run, tool outputs in between. */
const roundLimit = 64;

/** A model that writes no JSON has written its query. */
function readArguments(args: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(args);
    if (isObject(parsed)) return parsed;
  } catch {
    // Told below.
  }
  return { query: args };
}

/** Never throws: what goes wrong is the run's `last_error`. */
export async function driveRun(id: string, work: RunWork, drive: RunDrive): Promise<void> {
  const limit = new AbortController();
  const signal = AbortSignal.any([drive.signal, limit.signal]);
  const loop = new RunLoop(id, work, { ...drive, signal }, limit);
  try {
    await loop.go();
  } catch (cause) {
    const thrown: unknown = limit.signal.aborted ? limit.signal.reason : cause;
    if (!(thrown instanceof CallFailed || thrown instanceof GatewayError)) {
      work.services().onInternalFailure(thrown);
    }
    const error = thrown instanceof CallFailed ? thrown.error : toGatewayError(thrown);
    await loop.fail(error).catch(work.services().onInternalFailure);
  } finally {
    loop.close();
  }
}

class RunLoop {
  readonly #id: string;
  readonly #work: RunWork;
  readonly #drive: RunDrive;
  /** Of this drive; opened with its first round. */
  #tools: RunTools | undefined;
  #spentMicroUsd = 0;
  /** Ends a drive that has such tools, after their time. */
  readonly #limit: AbortController;
  #stopTimer: () => void = () => undefined;

  constructor(id: string, work: RunWork, drive: RunDrive, limit: AbortController) {
    this.#limit = limit;
    this.#id = id;
    this.#work = work;
    this.#drive = drive;
  }

  async go(): Promise<void> {
    const started = await this.#move("in_progress", { started_at: this.#nowS() });
    if (started?.value["status"] !== "in_progress") return;
    for (let round = 0; round < roundLimit; round++) {
      const record = await this.#work.records.get(kinds.run, this.#id);
      if (record?.value["status"] === "cancelling") await this.#move("cancelled", {});
      if (record?.value["status"] !== "in_progress") return;
      if (await this.#round(record)) return;
    }
    throw new GatewayError(
      "upstream_failed",
      `The run went on for more than ${roundLimit} rounds.`,
    );
  }

  /** True where the run has ended, or waits for its caller. */
  async #round(record: StoredRecord): Promise<boolean> {
    const { caller, signal } = this.#drive;
    const { functions } = await this.#open(record);
    const { hostedTools } = this.#work.services().config.routeiq;
    assertMoney(this.#spentMicroUsd, hostedTools);
    const body = await toChatBody(record, caller, this.#work, functions);
    const message = new MessageInProgress(record, this.#work, this.#drive.tell, this.#nowS);
    let answer: ModelAnswer;
    try {
      const services = this.#work.services();
      const onText = (piece: string) => message.add(piece);
      answer = await askModel({ body, caller, services, signal, onText });
    } catch (thrown) {
      await message.end("run_failed");
      throw thrown;
    }
    this.#spentMicroUsd += answer.costMicroUsd ?? 0;
    const usage = usageOf(answer);
    await this.#count(answer);
    if (answer.toolCalls.length > 0) {
      await message.end(undefined, usage);
      return this.#useTools(record, answer, usage);
    }
    const words = answer.text === "" ? answer.refusal : answer.text;
    if (!message.begun) message.add(words);
    const cut = answer.finishReason === "length";
    await message.end(cut ? "max_tokens" : undefined, usage);
    const details = { incomplete_details: { reason: "max_completion_tokens" } };
    await (cut
      ? this.#move("incomplete", details)
      : this.#move("completed", this.#ended("completed")));
    return true;
  }

  async #open({ id, value }: StoredRecord): Promise<RunTools> {
    if (this.#tools) return this.#tools;
    const told = objectAt(value, "settings")["tools"];
    const tools = Array.isArray(told) ? told.filter(isObject) : [];
    const { caller, signal } = this.#drive;
    const { config, clock } = this.#work.services();
    const { hostedTools: settings } = config.routeiq;
    if (tools.some(({ type }) => runToolTypes.has(type))) {
      const end = () => this.#limit.abort(tookTooLong(settings));
      this.#stopTimer = clock.after(settings.maxMs, end);
    }
    const sources = this.#work.hosted().filter(({ type }) => runToolTypes.has(type));
    this.#tools = await openRunTools(tools, { sources, settings, caller, signal, runId: id });
    return this.#tools;
  }

  close(): void {
    this.#stopTimer();
    this.#tools?.close();
  }

  /** Searches, MCP servers' tools and skills are the gateway's to run; functions are the caller's. */
  async #useTools(record: StoredRecord, answer: ModelAnswer, usage: JsonObject): Promise<boolean> {
    const said = {
      role: "assistant",
      content: answer.text === "" ? null : answer.text,
      tool_calls: answer.toolCalls.map(({ id, name, args }) => ({
        id,
        type: "function",
        function: { name, arguments: args },
      })),
    };
    const tools = await this.#open(record);
    const searches = answer.toolCalls.filter(({ name }) => isFileSearch(name));
    const others = answer.toolCalls.filter(({ name }) => !isFileSearch(name));
    const asked = others.filter(({ name }) => !tools.has(name));
    const outputs: JsonObject[] = [];
    const shown: JsonObject[] = [];
    for (const call of searches) {
      const { text, search } = await this.#search(record, call);
      const content = asData(text, "file_search");
      outputs.push({ role: "tool", tool_call_id: call.id, content });
      const results = (search?.passages ?? []).map(({ fileId, filename, score }) => {
        return { file_id: fileId, file_name: filename, score };
      });
      shown.push({ id: call.id, type: "file_search", file_search: { results } });
    }
    const ran = await tools.run(others.filter(({ name }) => tools.has(name)));
    for (const { call, content, result } of ran) {
      this.#spentMicroUsd += result.costMicroUsd ?? 0;
      outputs.push({ role: "tool", tool_call_id: call.id, content });
      const { id, name, args } = call;
      shown.push({
        id,
        type: "function",
        function: { name, arguments: args, output: result.text },
      });
    }
    for (const { id, name, args } of asked) {
      shown.push({ id, type: "function", function: { name, arguments: args, output: null } });
    }
    const step = await this.#addStep(record, shown, asked.length === 0, usage);
    const transcript: Json = [...this.#transcript(record), said, ...outputs];
    if (asked.length === 0) {
      await this.#change({ transcript });
      return false;
    }
    const calls = said.tool_calls.filter((call) => asked.some(({ id }) => id === call.id));
    await this.#move("requires_action", {
      transcript,
      waiting_step: step.id,
      required_action: {
        type: "submit_tool_outputs",
        submit_tool_outputs: { tool_calls: calls },
      },
    });
    return true;
  }

  async #search({ id, value }: StoredRecord, { args }: ToolCall): Promise<HostedResult> {
    const ids = objectAt(objectAt(value, "tool_resources"), "file_search")["vector_store_ids"];
    const stores = Array.isArray(ids) ? ids.map(String) : [];
    if (stores.length === 0) return { text: "There are no files to search." };
    const tool = this.#work.searchTool(stores, searchOptions(value));
    const { caller, signal } = this.#drive;
    return await tool.run(readArguments(args), { caller, requestId: id, signal });
  }

  async #addStep(
    record: StoredRecord,
    toolCalls: readonly JsonObject[],
    done: boolean,
    usage: JsonObject,
  ): Promise<StoredRecord> {
    const step = await this.#work.records.put({
      kind: kinds.step,
      id: newId("step"),
      owner: record.owner,
      parent: record.id,
      value: {
        type: "tool_calls",
        status: done ? "completed" : "in_progress",
        ...(done ? { ended_at: this.#nowS(), usage } : { pending_usage: usage }),
        assistant_id: record.value["assistant_id"] ?? null,
        thread_id: record.parent,
        step_details: { type: "tool_calls", tool_calls: toolCalls as Json },
      },
    });
    const { tell } = this.#drive;
    tell("thread.run.step.created", toStep(step));
    tell("thread.run.step.in_progress", toStep(step));
    tell("thread.run.step.delta", {
      id: step.id,
      object: "thread.run.step.delta",
      delta: {
        step_details: {
          type: "tool_calls",
          tool_calls: toolCalls.map((call, index) => ({ index, ...call })),
        },
      },
    });
    if (done) tell("thread.run.step.completed", toStep(step));
    return step;
  }

  #transcript({ value }: StoredRecord): readonly Json[] {
    const { transcript } = value;
    return Array.isArray(transcript) ? (transcript as readonly Json[]) : [];
  }

  async #count({ promptTokens, completionTokens }: ModelAnswer): Promise<void> {
    await this.#work.records.update(kinds.run, this.#id, ({ value }) => {
      const usage = objectAt(value, "usage");
      const prompt = Number(usage["prompt_tokens"] ?? 0) + promptTokens;
      const completion = Number(usage["completion_tokens"] ?? 0) + completionTokens;
      return { value: { ...value, usage: toUsage(prompt, completion) } };
    });
  }

  async fail(error: GatewayError): Promise<void> {
    const code = error.status === 429 ? "rate_limit_exceeded" : "server_error";
    const last_error = { code, message: error.message };
    await this.#move("failed", { last_error, ...this.#ended("failed") });
  }

  #ended(status: "completed" | "failed"): JsonObject {
    return { [`${status}_at`]: this.#nowS() };
  }

  readonly #nowS = () => seconds(this.#work.services().clock.now());

  #change(more: JsonObject): Promise<StoredRecord | undefined> {
    return this.#work.records.update(kinds.run, this.#id, ({ value }) => ({
      value: { ...value, ...more },
    }));
  }

  /** Never over a cancel: what was cancelled meanwhile ends as that. */
  async #move(status: RunStatus, more: JsonObject): Promise<StoredRecord | undefined> {
    const nowS = this.#nowS();
    const record = await this.#work.records.update(kinds.run, this.#id, ({ value }) => {
      if (isRunOver(value["status"])) return undefined;
      const cancelled = value["status"] === "cancelling";
      const next = cancelled ? { status: "cancelled", cancelled_at: nowS } : { ...more, status };
      const over = isRunOver(next.status);
      return { value: { ...value, ...next }, tag: over ? "done" : "open" };
    });
    if (record) this.#drive.tell(`thread.run.${String(record.value["status"])}`, toRun(record));
    return record;
  }
}

const usageOf = ({ promptTokens, completionTokens }: ModelAnswer) =>
  toUsage(promptTokens, completionTokens);

const toUsage = (prompt: number, completion: number): JsonObject => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
});
