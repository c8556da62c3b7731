/**
 * A turn with hosted tools: the model is asked, the tools that it calls are run, and it is asked
 * again with what they gave, until it has nothing to call, calls what is the caller's, or a limit is
 * reached. All of it is one stream of chunks.
 */
import type { Call } from "../../domain/call.ts";
import type { ChatChunk, ChatMessage, ChatRequest, WireUsage } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { HostedEvent } from "../../domain/hosted-event.ts";
import type { HostedPassage, HostedToolSettings } from "../../domain/hosted-tool.ts";
import type { Deployment } from "../../domain/model.ts";
import { type CallRecord, costOf } from "../record.ts";
import type { Services } from "../services.ts";
import { asData } from "./as-data.ts";
import { AnswerReader, type HostedCall, type Said, toBegun } from "./read-answer.ts";
import { type HostedRequest, withResult } from "./read-request.ts";
import { askRound, type Round } from "./round.ts";
import { type CallToRun, type RanCall, runCalls } from "./run-calls.ts";
import { toList } from "./tool-list.ts";
import { sourceOf, type Toolbox } from "./toolbox.ts";
import { addUsage } from "./usage-sum.ts";

export interface TurnOptions {
  readonly call: Call;
  readonly toolbox: Toolbox;
  readonly request: HostedRequest;
  readonly settings: HostedToolSettings;
  readonly signal: AbortSignal;
  /** The dialect can tell citations: the model is asked for them. */
  readonly cites: boolean;
  /** Told of the first round's call as soon as its model speaks. */
  readonly onFirst: (record: CallRecord) => void;
}

export class Turn {
  readonly #options: TurnOptions;
  readonly #services: Services;
  readonly #passages: HostedPassage[] = [];
  readonly #base: Pick<ChatChunk, "id" | "object" | "created">;
  #messages: readonly ChatMessage[];
  #model: string;
  #calls = 0;
  #runs = 0;
  #spoke = false;
  #spentMicroUsd = 0;
  #usage: WireUsage | undefined;
  #pin: Call["pin"];

  constructor(options: TurnOptions, services: Services) {
    const { call, request } = options;
    this.#options = options;
    this.#services = services;
    this.#messages = request.chat.messages;
    this.#model = call.requestedModel;
    this.#pin = call.pin;
    this.#base = {
      id: `${call.dialect === "anthropic" ? "msg_" : "chatcmpl-"}${call.id.replaceAll("-", "")}`,
      object: "chat.completion.chunk",
      created: Math.floor(call.startedAtMs / 1000),
    };
  }

  /** Of all rounds and tools so far. */
  get spentMicroUsd(): number {
    return this.#spentMicroUsd;
  }

  get usage(): WireUsage | undefined {
    return this.#usage;
  }

  /** @throws CallFailed, GatewayError; the signal's reason */
  async *chunks(): AsyncGenerator<ChatChunk> {
    const { approved } = this.#options.request;
    if (approved.length > 0) {
      yield* this.#lists();
      yield* this.#runApproved();
    }
    const { maxRounds } = this.#options.settings;
    for (let round = 0; round < maxRounds; round++) {
      this.#assertMoney();
      const { record, chunks } = await this.#ask(round);
      // Nothing is told before the model speaks, so that what it is refused can be an error.
      if (round === 0 && approved.length === 0) yield* this.#lists();
      const answer = yield* this.#read(chunks);
      this.#count(record, answer);
      // A model that calls tools though it was told not to has had its last word.
      if (round === maxRounds - 1 || !goesOn(answer)) {
        yield* this.#finish(answer);
        return;
      }
      this.#assertMoney();
      yield* this.#runTools(answer);
      if (answer.callsCaller || answer.hosted.some(({ number }) => number === undefined)) {
        yield* this.#finish(answer);
        return;
      }
    }
  }

  async #ask(round: number): Promise<Round> {
    const { call, request, settings, signal, onFirst } = this.#options;
    const { tool_choice: choice, ...chat } = request.chat;
    const last = round > 0 && (round === settings.maxRounds - 1 || this.#runs >= this.#mayRun());
    const forced = round === 0 ? choice : undefined;
    const chosen = last ? "none" : forced;
    const asked: ChatRequest = {
      ...chat,
      messages: this.#messages,
      ...(chosen === undefined ? {} : { tool_choice: chosen }),
    };
    const id = round === 0 ? call.id : Bun.randomUUIDv7();
    const { inDialect, toBody } = request;
    const how = { ...(inDialect ? { inDialect } : {}), ...(toBody ? { toBody } : {}) };
    const asking = { call, id, chat: asked, pin: this.#pin, signal, ...how };
    const answered = await askRound(asking, this.#services);
    const { deployment } = answered.record;
    if (round === 0) onFirst(answered.record);
    // What a model thought and called is for the same model to go on from.
    if (deployment) this.#pin ??= toPin(call.id, deployment);
    return answered;
  }

  /** What the caller's own `max_tool_calls` allows, at most what the operator does. */
  #mayRun(): number {
    const { call, settings } = this.#options;
    const asked = call.body["max_tool_calls"];
    return typeof asked === "number" ? Math.min(asked, settings.maxCalls) : settings.maxCalls;
  }

  async *#read(chunks: AsyncIterable<ChatChunk>) {
    const { toolbox, cites } = this.#options;
    const finds = cites && this.#passages.length > 0;
    const answer = new AnswerReader({
      toolbox,
      nextNumber: () => this.#calls++,
      ...(finds ? { passage: (number: number) => this.#passages[number - 1] } : {}),
    });
    for await (const chunk of chunks) {
      if (chunk.model) this.#model = chunk.model;
      for (const said of answer.read(chunk)) yield this.#toChunk(said);
    }
    for (const said of answer.end()) yield this.#toChunk(said);
    return answer;
  }

  #count(record: CallRecord, { usage }: AnswerReader): void {
    this.#spentMicroUsd += costOf(record) ?? 0;
    if (usage) this.#usage = addUsage(this.#usage, usage);
  }

  async *#runTools(answer: AnswerReader) {
    const run = answer.hosted.filter(isToRun);
    const ran = yield* this.#run(
      run.map(({ number, offered, args }) => ({ number, offered, args })),
    );
    const results = run.map(({ number, id }): ChatMessage => {
      const { result, call } = ran.get(number) as RanCall; // every call has an end
      return { role: "tool", tool_call_id: id, content: this.#told({ result, call }) };
    });
    if (run.length > 0) this.#messages = [...this.#messages, answer.toMessage(), ...results];
    for (const { offered, args, number } of answer.hosted) {
      if (number !== undefined) continue;
      const { tool, set } = offered;
      const wanted = { label: set.label, name: tool.name, arguments: args || "{}" };
      yield this.#event({ kind: "approval", ...wanted });
    }
  }

  /** Before the model is asked: what the caller has approved of. */
  async *#runApproved() {
    const { approved } = this.#options.request;
    const calls = approved.map(({ offered, args }) => ({ number: this.#calls++, offered, args }));
    for (const [i, { number, offered, args }] of calls.entries()) {
      yield this.#event(toBegun(offered, number, approved[i]?.approvalId));
      yield this.#event({ kind: "arguments", call: number, delta: args });
    }
    const ran = yield* this.#run(calls);
    for (const [i, { number }] of calls.entries()) {
      const [done, waits] = [ran.get(number), approved[i]];
      if (done && waits)
        this.#messages = withResult(this.#messages, waits.callId, this.#told(done));
    }
  }

  async *#run(calls: readonly CallToRun[]) {
    const { settings, call, signal } = this.#options;
    const ran = new Map<number, RanCall>();
    const options = { settings, caller: call.caller, requestId: call.requestId, signal };
    const left = this.#mayRun() - this.#runs;
    for await (const told of runCalls(calls, { ...options, left })) {
      if ("event" in told) yield this.#event(told.event);
      else ran.set(told.ran.call.number, told.ran);
    }
    this.#runs += calls.length;
    for (const { result } of ran.values()) this.#spentMicroUsd += result.costMicroUsd ?? 0;
    return ran;
  }

  /** A result as the model reads it. Passages are numbered over the whole turn. */
  #told({ result, call: { offered } }: RanCall): string {
    const { search, text } = result;
    const from = sourceOf(offered);
    if (!search || search.passages.length === 0) return asData(text, from);
    const before = this.#passages.length;
    this.#passages.push(...search.passages);
    const found = search.passages.map(
      ({ filename, text: passage }, i) => `[${before + i + 1}] ${filename}\n${passage}`,
    );
    const asked = this.#options.cites
      ? "\nAfter each statement that rests on a passage write its number in marks, such as 【1】."
      : "";
    return asData(found.join("\n\n"), from) + asked;
  }

  *#lists() {
    const { toolbox, request } = this.#options;
    for (const set of toolbox.sets) {
      if (set.listed && !request.listed.has(set.label)) yield this.#event(toList(set, toolbox));
    }
  }

  *#finish({ finishReason, callsCaller }: AnswerReader) {
    const reason = callsCaller || finishReason !== "tool_calls" ? finishReason : "stop";
    yield this.#chunk([{ index: 0, delta: {}, finish_reason: reason ?? "stop" }]);
    if (this.#usage) yield { ...this.#chunk([]), usage: this.#usage };
  }

  #toChunk(said: Said): ChatChunk {
    if ("event" in said) return this.#event(said.event);
    const { role: _, ...words } = said.delta;
    const delta = this.#spoke ? words : { role: "assistant", ...words };
    this.#spoke = true;
    const logprobs = said.logprobs === undefined ? {} : { logprobs: said.logprobs };
    return this.#chunk([{ index: 0, delta, finish_reason: null, ...logprobs }]);
  }

  #event(hosted: HostedEvent): ChatChunk {
    return { ...this.#chunk([]), hosted };
  }

  #chunk(choices: ChatChunk["choices"]): ChatChunk {
    return { ...this.#base, model: this.#model, choices };
  }

  #assertMoney(): void {
    const { maxCostMicroUsd } = this.#options.settings;
    if (maxCostMicroUsd === undefined || this.#spentMicroUsd < maxCostMicroUsd) return;
    const [spent, limit] = [this.#spentMicroUsd / 1e6, maxCostMicroUsd / 1e6];
    throw new GatewayError(
      "hosted_tool_limit",
      `The models and tools of this request have cost ${spent} USD; the limit is ${limit} (routeiq_settings.hosted_tools.max_cost_usd).`,
    );
  }
}

const isToRun = (call: HostedCall): call is HostedCall & { readonly number: number } =>
  call.number !== undefined;

/** False where there is nothing to run, or what was called came only in part. */
function goesOn({ finishReason, hosted }: AnswerReader): boolean {
  const cutShort = finishReason === "length" || finishReason === "content_filter";
  return hosted.length > 0 && !cutShort;
}

function toPin(responseId: string, { id, candidate }: Deployment): NonNullable<Call["pin"]> {
  return { responseId, deployment: id, candidate, only: false };
}
