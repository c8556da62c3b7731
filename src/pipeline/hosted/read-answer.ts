/**
 * What a model says in one round, sorted as it streams: words and calls of the caller's own functions
 * go on to the caller, calls of hosted tools are the gateway's to run.
 */
import type {
  ChatChunk,
  ChatMessage,
  ChunkDelta,
  ToolCall,
  ToolCallDelta,
  WireUsage,
} from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { HostedEvent } from "../../domain/hosted-event.ts";
import type { JsonObject } from "../../domain/json.ts";
import { CitationReader } from "./citations.ts";
import type { Offered, Toolbox } from "./toolbox.ts";

/** A call of a hosted tool, as far as the model has written it. */
export interface HostedCall {
  readonly id: string;
  readonly offered: Offered;
  /** What stands beside a call and goes back with it: Gemini's signature, say. */
  readonly beside: JsonObject;
  args: string;
  /** Which of the turn, in events; undefined where it waits for the caller's approval. */
  readonly number: number | undefined;
}

/** What one piece of the answer means for the caller. */
export type Said =
  | { readonly delta: ChunkDelta; readonly logprobs?: JsonObject[string] }
  | { readonly event: HostedEvent };

export interface AnswerOptions {
  readonly toolbox: Toolbox;
  /** The number of the turn's next call. */
  readonly nextNumber: () => number;
  /** A passage of an earlier search, by its number from 1; undefined: no marks are looked for. */
  readonly passage?: (
    number: number,
  ) => { readonly fileId: string; readonly filename: string } | undefined;
}

/** Of one answer, in characters. */
const answerLimitChars = 8 * 1024 * 1024;

export class AnswerReader {
  readonly hosted: HostedCall[] = [];
  finishReason: string | undefined;
  usage: WireUsage | undefined;
  readonly #options: AnswerOptions;
  readonly #marks: CitationReader | undefined;
  readonly #byIndex = new Map<
    number,
    { readonly id: string; readonly open: HostedCall | OwnCall }
  >();
  #beside: JsonObject = {};
  readonly #own: OwnCall[] = [];
  readonly #thinking: JsonObject[] = [];
  #text = "";
  #reasoning = "";
  #chars = 0;

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.#marks = options.passage && new CitationReader();
  }

  /** The model called functions of the caller's own. */
  get callsCaller(): boolean {
    return this.#own.length > 0;
  }

  /** @throws GatewayError upstream_failed */
  read(chunk: ChatChunk): readonly Said[] {
    if (chunk.usage) this.usage = chunk.usage;
    const choice = chunk.choices.find(({ index }) => index === 0);
    if (!choice) return [];
    if (choice.finish_reason) this.finishReason = choice.finish_reason;
    const { tool_calls: calls, content, ...rest } = choice.delta;
    const said: Said[] = [];
    this.#keep(rest);
    const { logprobs } = choice;
    if (content) said.push(...this.#say(content, rest, logprobs));
    else if (hasWords(rest)) said.push({ delta: rest });
    for (const call of calls ?? []) said.push(...this.#call(call));
    return said;
  }

  /** What the end of the answer lets go. */
  end(): readonly Said[] {
    return (this.#marks?.end() ?? []).map((text): Said => ({ delta: { content: String(text) } }));
  }

  /** The answer as a message of the conversation: with the calls that have results. */
  toMessage(): ChatMessage {
    const calls = this.hosted
      .filter(({ number }) => number !== undefined)
      .map(({ id, offered, args, beside }): ToolCall => {
        const called = { name: offered.name, arguments: args || "{}" };
        return { ...beside, id, type: "function", function: called };
      });
    return {
      ...this.#beside,
      role: "assistant",
      content: this.#text === "" ? null : this.#text,
      ...(this.#reasoning ? { reasoning_content: this.#reasoning } : {}),
      ...(this.#thinking.length > 0 ? { thinking_blocks: this.#thinking } : {}),
      tool_calls: calls,
    };
  }

  #keep(delta: ChunkDelta): void {
    const { reasoning_content: reasoning, thinking_blocks: thinking } = delta;
    const { extra_content: signature } = delta;
    if (signature !== undefined) this.#beside = { extra_content: signature };
    if (reasoning) {
      this.#grow(reasoning.length);
      this.#reasoning += reasoning;
    }
    if (thinking) this.#thinking.push(...thinking);
  }

  #grow(chars: number): void {
    this.#chars += chars;
    if (this.#chars <= answerLimitChars) return;
    throw new GatewayError("upstream_failed", "The model's answer is longer than any may be.");
  }

  #say(content: string, rest: ChunkDelta, logprobs: JsonObject[string]): readonly Said[] {
    this.#grow(content.length);
    this.#text += content;
    const passage = this.#options.passage;
    if (!this.#marks || !passage) {
      return [{ delta: { ...rest, content }, ...(logprobs ? { logprobs } : {}) }];
    }
    return this.#marks.push(content).flatMap((piece): readonly Said[] => {
      if (typeof piece === "string") return [{ delta: { content: piece } }];
      const found = passage(piece);
      return found ? [{ event: { kind: "citation", ...found } }] : [];
    });
  }

  #call(delta: ToolCallDelta): readonly Said[] {
    const known = this.#byIndex.get(delta.index);
    const args = delta.function?.arguments ?? "";
    this.#grow(args.length);
    const name = delta.function?.name ?? "";
    // A new id under a known index is a new call: some providers number all of them 0.
    const isNew = known === undefined || (delta.id && name && known.id !== delta.id);
    if (!isNew) return this.#go(known.open, args, delta);
    const offered = this.#options.toolbox.get(name);
    const id = delta.id || `call_${crypto.randomUUID().replaceAll("-", "")}`;
    if (!offered) {
      const own: OwnCall = { own: this.#own.length };
      this.#own.push(own);
      this.#byIndex.set(delta.index, { id, open: own });
      return [{ delta: { tool_calls: [{ ...delta, id, index: own.own }] } }];
    }
    const number = offered.needsApproval ? undefined : this.#options.nextNumber();
    const { index, id: _id, type: _type, function: _function, ...beside } = delta;
    const call: HostedCall = { id, offered, beside, args: "", number };
    this.hosted.push(call);
    this.#byIndex.set(index, { id, open: call });
    const begun = number === undefined ? [] : [{ event: toBegun(offered, number) }];
    return [...begun, ...this.#go(call, args, delta)];
  }

  #go(open: HostedCall | OwnCall, args: string, delta: ToolCallDelta): readonly Said[] {
    if ("own" in open) return [{ delta: { tool_calls: [{ ...delta, index: open.own }] } }];
    open.args += args;
    if (args === "" || open.number === undefined) return [];
    return [{ event: { kind: "arguments", call: open.number, delta: args } }];
  }
}

/** A call of the caller's own function: its place among these. */
interface OwnCall {
  readonly own: number;
}

export function toBegun({ tool, set }: Offered, call: number, approval?: string): HostedEvent {
  return {
    kind: "begun",
    call,
    shownAs: set.shownAs,
    label: set.label,
    name: tool.name,
    ...(approval === undefined ? {} : { approval }),
  };
}

const hasWords = ({ role: _, ...rest }: ChunkDelta) =>
  Object.values(rest).some((value) => value !== undefined && value !== null && value !== "");
