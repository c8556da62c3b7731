/** The reply of a call with hosted tools: its turn, in the caller's dialect, as a stream or whole. */
import type { Answer, Dialect } from "../../dialects/dialect.ts";
import type { Call } from "../../domain/call.ts";
import { type ChatChunk, fromWireUsage } from "../../domain/chat.ts";
import { errorTable, GatewayError, toGatewayError } from "../../domain/errors.ts";
import type { HostedSource } from "../../domain/hosted-tool.ts";
import type { JsonObject } from "../../domain/json.ts";
import { costMicroUsd } from "../../domain/usage.ts";
import { Cancel } from "../../std/cancel.ts";
import { createChunkFeed } from "../feed.ts";
import { begin, CallFailed, fail, runCall } from "../handle.ts";
import { keepAwake } from "../keep-awake.ts";
import { CallRecord } from "../record.ts";
import { type Reply, toAnswer } from "../reply.ts";
import { callerGone } from "../run.ts";
import type { Services } from "../services.ts";
import { createReplyStream, readToCommit } from "../stream.ts";
import {
  type Entry,
  EntryFailed,
  isProviders,
  labelOf,
  openEntries,
  readEntries,
} from "./entries.ts";
import { Turn } from "./loop.ts";
import { ownNames, readRequest } from "./read-request.ts";
import { eachOf, toChatChunks, wholeChat, wholeResponse } from "./shapes.ts";
import { createToolbox, type OpenedEntry } from "./toolbox.ts";
import { wholeMessage } from "./whole-message.ts";

/** @throws CallFailed */
export async function answerHosted(
  call: Call,
  sources: readonly HostedSource[],
  services: Services,
): Promise<Reply> {
  let entries: readonly Entry[];
  try {
    entries = readEntries(call, sources);
    if (await isProviders(entries, call, services)) return await runCall(call, services);
  } catch (thrown) {
    if (thrown instanceof CallFailed) throw thrown;
    throw fail(toGatewayError(thrown), call, undefined, services);
  }
  return new HostedAnswer(call, services).give(entries);
}

class HostedAnswer {
  readonly #call: Call;
  readonly #services: Services;
  readonly #dialect: Dialect;
  readonly #record: CallRecord;
  readonly #cancel = new Cancel();
  #stopTimer: () => void = () => undefined;
  #opened: readonly OpenedEntry[] = [];
  #running: AsyncGenerator<ChatChunk> | undefined;
  #over = false;

  constructor(call: Call, services: Services) {
    this.#call = call;
    this.#services = services;
    this.#dialect = services.getDialect(call.dialect);
    this.#record = begin(new CallRecord(call), services);
    this.#record.hold(this.#cancel);
  }

  async give(entries: readonly Entry[]): Promise<Reply> {
    try {
      this.#startTimer();
      const turn = await this.#open(entries);
      if (!this.#call.stream) return await this.#whole(turn);
      return await this.#streamOf(this.#chunks(turn), () => turn.spentMicroUsd);
    } catch (thrown) {
      const told = thrown instanceof EntryFailed ? this.#tellFailedList(thrown) : undefined;
      if (told) return told;
      const failed = this.#failure(thrown instanceof EntryFailed ? thrown.error : thrown);
      this.#end();
      throw failed;
    }
  }

  /** A stream of the Responses API has words for a server whose tools cannot be listed. */
  #tellFailedList({ entry, error }: EntryFailed): Promise<Reply> | undefined {
    const { stream, operation, id, startedAtMs, requestedModel: model } = this.#call;
    if (!stream || operation !== "responses" || errorTable[error.code].fault === "caller") {
      return undefined;
    }
    const created = Math.floor(startedAtMs / 1000);
    const hosted = {
      kind: "list",
      label: labelOf(entry),
      tools: [],
      error: error.message,
    } as const;
    const chunk = { id, object: "chat.completion.chunk", created, model, choices: [] } as const;
    async function* chunks() {
      yield { ...chunk, hosted };
      throw error;
    }
    fail(error, this.#call, this.#record, this.#services);
    return this.#streamOf(chunks(), () => 0);
  }

  #startTimer(): void {
    const { clock, config } = this.#services;
    const { maxMs } = config.routeiq.hostedTools;
    const leftMs = (this.#call.deadlineMs ?? Number.POSITIVE_INFINITY) - clock.now();
    const late = leftMs < maxMs ? deadlinePassed() : tookTooLong(maxMs);
    this.#stopTimer = clock.after(Math.max(0, Math.min(leftMs, maxMs)), () =>
      this.#cancel.cancel(late),
    );
  }

  async #open(entries: readonly Entry[]): Promise<Turn> {
    const { caller, requestId, operation } = this.#call;
    const { signal } = this.#cancel;
    const isChat = operation === "chat";
    const settings = this.#services.config.routeiq.hostedTools;
    this.#opened = await openEntries(entries, { caller, requestId, signal });
    const toolbox = createToolbox(this.#opened, {
      taken: ownNames(this.#call),
      maxTools: settings.maxTools,
      // OpenAI's rule where there are items to ask by; chat has none.
      approvalUnsaid: !isChat,
    });
    // In chat, a call that needs approval is the caller's own to make.
    const run = isChat
      ? { ...toolbox, get: (name: string) => unlessApproved(toolbox.get(name)) }
      : toolbox;
    const request = readRequest(this.#call, toolbox, this.#dialect);
    return new Turn(
      {
        call: this.#call,
        toolbox: run,
        request,
        settings,
        signal,
        cites: !isChat,
        onFirst: (record) => this.#adopt(record),
      },
      this.#services,
    );
  }

  /** What headers tell of the answer is the first round's. */
  #adopt(first: CallRecord): void {
    const record = this.#record;
    record.ranking = first.ranking;
    record.rankRequest = first.rankRequest;
    record.deployment = first.deployment;
    record.attempts.push(...first.attempts);
    record.fallbacks = first.fallbacks;
    record.overheadUs = first.overheadUs;
    record.queuedMs = first.queuedMs;
    record.upstreamHeaders = first.upstreamHeaders;
  }

  async #streamOf(chunks: AsyncGenerator<ChatChunk>, spentMicroUsd: () => number): Promise<Reply> {
    const { litellm } = this.#services.config;
    const call = this.#call;
    const told = call.body["stream_options"] as { include_usage?: unknown } | undefined;
    const asked = told?.include_usage === true;
    const options = {
      withholdUsage: call.dialect === "openai-chat" && !asked,
      heard: () => undefined,
      close: () => this.#end(),
      ...(litellm.includeCostInStreamingUsage ? { costUsd: () => spentMicroUsd() / 1e6 } : {}),
    };
    const feed = createChunkFeed(
      () => chunks,
      { caller: this.#dialect, request: call.body as never, answer: toAnswer(call) },
      options,
    );
    const held = await readToCommit(feed);
    const abort = (reason: "gone" | "stalled") => this.#cancel.cancel(callerGone(reason));
    const body = createReplyStream(held, feed, this.#dialect, abort, ({ error }) =>
      this.#tell(error),
    );
    return { record: this.#record, body: keepAwake(body, this.#services.clock) };
  }

  async #whole(turn: Turn): Promise<Reply> {
    const chunks: ChatChunk[] = [];
    for await (const chunk of this.#chunks(turn)) chunks.push(chunk);
    const answer = toAnswer(this.#call);
    const body = await this.#encode(chunks, answer);
    const record = this.#record;
    record.outcome = "success";
    record.usage = turn.usage && fromWireUsage(turn.usage);
    const { usage, deployment } = record;
    const priced = usage && deployment ? costMicroUsd(usage, deployment.facts.price) : undefined;
    record.askedMicroUsd = Math.max(0, turn.spentMicroUsd - (priced ?? 0));
    record.totalMs = this.#services.clock.now() - this.#call.startedAtMs;
    this.#end();
    return { record, body: JSON.stringify(body) };
  }

  #encode(chunks: readonly ChatChunk[], answer: Answer): JsonObject | Promise<JsonObject> {
    const { dialect, operation } = this.#call;
    if (operation !== "chat") return wholeResponse(chunks, this.#dialect, answer);
    if (dialect === "anthropic") return wholeMessage(eachOf(chunks), this.#dialect, answer);
    return this.#dialect.encodeReply(wholeChat(chunks), answer);
  }

  /** The turn's own, with what went wrong in words for the caller. */
  async *#chunks(turn: Turn): AsyncGenerator<ChatChunk> {
    const chunks = turn.chunks();
    this.#running = chunks;
    try {
      yield* this.#call.dialect === "openai-chat" ? toChatChunks(chunks) : chunks;
    } catch (thrown) {
      throw this.#cancel.reason ?? thrown;
    }
  }

  #failure(thrown: unknown): CallFailed {
    if (thrown instanceof CallFailed) {
      this.#tell(thrown.error);
      return thrown;
    }
    const error = toGatewayError(thrown);
    // Where a model has answered, its call has a receipt; else this is the only one.
    if (!this.#record.deployment) return fail(error, this.#call, this.#record, this.#services);
    if (error.code === "internal") this.#services.onInternalFailure(error.cause);
    this.#tell(error);
    return new CallFailed(error, this.#record);
  }

  #tell(error: GatewayError | undefined): void {
    if (!error || error.code === "caller_gone") return;
    this.#services.telemetry.log("warn", "a turn with hosted tools failed", {
      call: this.#call.id,
      error: error.code,
      reason: error.message,
    });
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopTimer();
    // What still runs has nobody to run for.
    this.#cancel.cancel(callerGone("gone"));
    this.#running?.return(undefined).catch(() => undefined); // it has been heard, or nobody asks
    for (const { set } of this.#opened) set.close();
    this.#services.activity.leave(this.#record);
  }
}

const unlessApproved = <T extends { readonly needsApproval: boolean }>(offered: T | undefined) =>
  offered?.needsApproval ? undefined : offered;

function tookTooLong(maxMs: number): GatewayError {
  return new GatewayError(
    "hosted_tool_limit",
    `The models and tools of this request took longer than ${maxMs / 1000} s (routeiq_settings.hosted_tools.max_seconds).`,
  );
}

function deadlinePassed(): GatewayError {
  return new GatewayError("deadline_exceeded", "The deadline that the request set passed.");
}
