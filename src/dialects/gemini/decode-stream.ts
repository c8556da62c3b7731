/**
 * Gemini's stream to our chunks: every frame is a whole response with a piece of the answer, calls
 * come whole, and the stream ends with the connection. Some models say STOP in every frame, so that
 * the reason counts at the end only. Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
 */
import type { ChatChunk, ChunkChoice, WireUsage } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { decodeWire, parseFrame } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeStreamError, isError } from "./errors.ts";
import { decodeLogprobs } from "./logprobs.ts";
import { blockedText, callId, specificOf, toCall, toImage } from "./reply.ts";
import { unwrapBlock, withSignature } from "./signatures.ts";
import { readUsage, toWireUsage } from "./usage.ts";
import {
  type Candidate,
  GenerateContentResponse,
  objectOr,
  type Part,
  toFinishReason,
} from "./wire.ts";

export async function* decodeStream(
  frames: AsyncIterable<SseFrame>,
  context: ReplyContext = {},
): AsyncGenerator<ChatChunk> {
  const stream = new StreamDecoder(context.createdS ?? 0);
  for await (const { data } of frames) {
    if (data === "" || data === "[DONE]") continue; // some servers in front of Gemini send it
    const chunk = stream.see(parseFrame(data));
    if (chunk) yield chunk;
  }
  yield* stream.finish();
}

/** A candidate so far. */
interface Branch {
  started: boolean;
  calls: number;
  images: number;
  reason: string | undefined;
  /** What OpenAI has no word for; told at the end. */
  specific: JsonObject;
}

class StreamDecoder {
  private id = "";
  private model = "";
  private readonly created: number;
  private readonly branches = new Map<number, Branch>();
  private usage: WireUsage | undefined;
  private blocked: JsonObject | undefined;

  constructor(created: number) {
    this.created = created;
  }

  see(body: JsonObject): ChatChunk | undefined {
    if (isError(body)) throw decodeStreamError(body);
    const response = decodeWire(GenerateContentResponse, body, "Gemini response");
    this.id = response.responseId ?? this.id;
    this.model = response.modelVersion ?? this.model;
    const usage = readUsage(body);
    if (usage) this.usage = toWireUsage(usage); // counts so far: the last one stands
    if (response.promptFeedback?.blockReason) this.blocked = objectOr(body["promptFeedback"]);
    const choices = (response.candidates ?? []).map((candidate, i) => this.choice(candidate, i));
    return choices.length ? this.chunk(choices) : undefined;
  }

  *finish(): Generator<ChatChunk> {
    if (this.branches.size === 0 && this.blocked) yield this.block(this.blocked);
    const branches = [...this.branches];
    const isCut = branches.length === 0 || branches.some(([, { reason }]) => reason === undefined);
    if (isCut) {
      const message = "The provider's stream ended before its answer was complete.";
      throw new GatewayError("stream_truncated", message);
    }
    for (const [index, { reason = "STOP", calls, specific }] of branches) {
      const finish_reason = toFinishReason(reason, calls > 0);
      const fields = Object.keys(specific).length ? { provider_specific_fields: specific } : {};
      yield this.chunk([{ index, delta: {}, finish_reason, ...fields }]);
    }
    if (this.usage) yield { ...this.chunk([]), usage: this.usage };
  }

  private chunk(choices: readonly ChunkChoice[]): ChatChunk {
    const { id, created, model } = this;
    return { id, object: "chat.completion.chunk", created, model, choices };
  }

  /** The prompt was refused, so that there will be no candidate: one that says so. */
  private block(feedback: JsonObject): ChatChunk {
    const specific = { promptFeedback: feedback };
    this.branches.set(0, { started: true, calls: 0, images: 0, reason: "SAFETY", specific });
    const delta = { role: "assistant", content: null, refusal: blockedText(feedback) };
    return this.chunk([{ index: 0, delta, finish_reason: null }]);
  }

  private choice(candidate: Candidate, i: number): ChunkChoice {
    const index = candidate.index ?? i;
    const branch = this.branches.get(index) ?? newBranch();
    this.branches.set(index, branch);
    if (candidate.finishReason && candidate.finishReason !== "FINISH_REASON_UNSPECIFIED") {
      branch.reason = candidate.finishReason;
    }
    const parts = candidate.content?.parts ?? [];
    const { parts: unsayable, ...specific } = objectOr(
      specificOf(candidate, parts)["provider_specific_fields"],
    );
    branch.specific = { ...branch.specific, ...specific };
    const { logprobsResult } = candidate;
    return {
      index,
      delta: this.delta(parts, branch),
      finish_reason: null,
      ...(isObject(logprobsResult) ? { logprobs: decodeLogprobs(logprobsResult) } : {}),
      ...(unsayable ? { provider_specific_fields: { parts: unsayable } } : {}),
    };
  }

  private delta(parts: readonly Part[], branch: Branch): ChunkChoice["delta"] {
    let content = "";
    let reasoning = "";
    let signature: string | undefined;
    const calls: Json[] = [];
    const images: JsonObject[] = [];
    const thinking: JsonObject[] = [];
    for (const part of parts) {
      const own = part.thoughtSignature ?? undefined;
      const block = own === undefined ? undefined : unwrapBlock(own);
      if (block) thinking.push(block);
      if (part.functionCall) {
        const index = branch.calls++;
        calls.push({ index, ...toCall(part, callId(this.id, this.created)(index)) });
        continue;
      }
      if (!block) signature = own ?? signature;
      if (part.thought) reasoning += part.text ?? "";
      else if (part.inlineData) images.push(toImage(part.inlineData, branch.images++));
      else content += part.text ?? "";
    }
    const isFirst = !branch.started;
    branch.started = true;
    return {
      ...(isFirst ? { role: "assistant" } : {}),
      ...(content || (isFirst && !calls.length) ? { content } : {}),
      ...(reasoning ? { reasoning_content: reasoning } : {}),
      ...(thinking.length ? { thinking_blocks: thinking } : {}),
      ...(calls.length ? { tool_calls: calls as unknown as [] } : {}),
      ...(images.length ? { images } : {}),
      ...withSignature(signature),
    };
  }
}

const newBranch = (): Branch => ({
  started: false,
  calls: 0,
  images: 0,
  reason: undefined,
  specific: {},
});
