/** Whole replies, both ways. Source: https://ai.google.dev/api/generate-content#generatecontentresponse */
import type { ChatChoice, ChatMessage, ChatReply, ToolCall } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { decodeWire } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { toArgs } from "./encode-contents.ts";
import { decodeStreamError, isError } from "./errors.ts";
import { decodeLogprobs, encodeLogprobs } from "./logprobs.ts";
import { signatureOf, unwrapBlock, withSignature, wrapBlock } from "./signatures.ts";
import { fromUsage, readUsage, toWireUsage } from "./usage.ts";
import {
  type Candidate,
  fromFinishReason,
  GenerateContentResponse,
  isLossy,
  objectOr,
  type Part,
  toFinishReason,
} from "./wire.ts";

/** @throws GatewayError upstream_invalid, or the error that came with status 200. */
export function decodeReply(body: JsonObject, context: ReplyContext = {}): ChatReply {
  if (isError(body)) throw decodeStreamError(body);
  const response = decodeWire(GenerateContentResponse, body, "Gemini response");
  const candidates = response.candidates ?? [];
  const blocked = response.promptFeedback?.blockReason;
  if (candidates.length === 0 && !blocked) {
    throw new GatewayError("upstream_invalid", "The provider sent a response without candidates.");
  }
  const usage = readUsage(body);
  const id = response.responseId ?? "";
  const created = context.createdS ?? 0;
  return {
    id,
    object: "chat.completion",
    created,
    model: response.modelVersion ?? "",
    choices: candidates.length
      ? candidates.map((candidate, i) => toChoice(candidate, i, callId(id, created)))
      : [blockedChoice(objectOr(body["promptFeedback"]))],
    ...(usage ? { usage: toWireUsage(usage) } : {}),
  };
}

/**
 * Ids of calls that Gemini gave none: unlike those of other replies, and within the 40 characters
 * that OpenAI allows.
 */
export function callId(responseId: string, createdS: number): (n: number) => string {
  const base = responseId.replace(/[^a-zA-Z0-9_-]/g, "").slice(0, 28) || createdS.toString(36);
  return (n) => `call_${base}_${n}`;
}

/** The prompt was refused: no candidate at all. */
export function blockedChoice(feedback: JsonObject): ChatChoice {
  return {
    index: 0,
    message: { role: "assistant", content: null, refusal: blockedText(feedback) },
    finish_reason: "content_filter",
    provider_specific_fields: { promptFeedback: feedback },
  };
}

export function blockedText(feedback: JsonObject): string {
  const told = feedback["blockReasonMessage"];
  return typeof told === "string" && told
    ? told
    : `The prompt was blocked: ${String(feedback["blockReason"])}.`;
}

function toChoice(candidate: Candidate, i: number, newId: (n: number) => string): ChatChoice {
  const parts = candidate.content?.parts ?? [];
  const message = toMessage(parts, newId);
  const hasCalls = (message.tool_calls ?? []).length > 0;
  const reason = candidate.finishReason ?? "STOP";
  const { logprobsResult } = candidate;
  return {
    index: candidate.index ?? i,
    message,
    finish_reason: toFinishReason(reason, hasCalls),
    ...(isObject(logprobsResult) ? { logprobs: decodeLogprobs(logprobsResult) } : {}),
    ...specificOf(candidate, parts),
  };
}

const known = new Set(["index", "content", "finishReason", "logprobsResult"]);

/** What OpenAI has no word for: grounding, citations, ratings, the finer reason to stop. */
export function specificOf(candidate: Candidate, parts: readonly Part[] = []): JsonObject {
  const rest = Object.entries(candidate as JsonObject).filter(([key]) => !known.has(key));
  const fields = {
    ...Object.fromEntries(rest),
    ...(candidate.finishReason && isLossy(candidate.finishReason)
      ? { finishReason: candidate.finishReason }
      : {}),
    ...(parts.every(isSayable) ? {} : { parts: parts as unknown as Json }),
  };
  return Object.keys(fields).length ? { provider_specific_fields: fields } : {};
}

/** Parts whose meaning our message holds; the others travel beside it as they came. */
const isSayable = (part: Part) =>
  typeof part.text === "string" || part.functionCall || part.inlineData || part.thoughtSignature;

function toMessage(parts: readonly Part[], newId: (n: number) => string): ChatMessage {
  let content = "";
  let reasoning = "";
  let signature: string | undefined;
  const calls: ToolCall[] = [];
  const images: JsonObject[] = [];
  const thinking: JsonObject[] = [];
  for (const part of parts) {
    const own = part.thoughtSignature ?? undefined;
    const block = own === undefined ? undefined : unwrapBlock(own);
    if (block) thinking.push(block);
    if (part.functionCall) {
      calls.push(toCall(part, newId(calls.length)));
      continue;
    }
    if (!block) signature = own ?? signature;
    if (part.thought) reasoning += part.text ?? "";
    else if (part.inlineData) images.push(toImage(part.inlineData, images.length));
    else content += part.text ?? "";
  }
  return {
    role: "assistant",
    content: content || (calls.length || images.length ? null : ""),
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(thinking.length ? { thinking_blocks: thinking } : {}),
    ...(calls.length ? { tool_calls: calls } : {}),
    ...(images.length ? { images } : {}),
    ...withSignature(signature),
  };
}

export function toCall(part: Part, fallbackId: string): ToolCall {
  const { id, name, args } = part.functionCall ?? {};
  const signature = part.thoughtSignature;
  return {
    id: id || fallbackId,
    type: "function",
    function: { name: name ?? "", arguments: JSON.stringify(args ?? {}) },
    ...(signature && !unwrapBlock(signature) ? withSignature(signature) : {}),
  };
}

/** A picture that the model made, in the form of LiteLLM and OpenRouter. */
export function toImage(inline: NonNullable<Part["inlineData"]>, index: number): JsonObject {
  const url = `data:${inline.mimeType ?? "image/png"};base64,${inline.data ?? ""}`;
  return { type: "image_url", index, image_url: { url } };
}

export function finishReasonOf(reply: JsonObject): string | undefined {
  const { candidates } = reply;
  const first: unknown = Array.isArray(candidates) ? candidates[0] : undefined;
  if (!isObject(first)) {
    const feedback = reply["promptFeedback"];
    return isObject(feedback) && feedback["blockReason"] ? "content_filter" : undefined;
  }
  const reason = first["finishReason"];
  return typeof reason === "string" ? toFinishReason(reason, hasCall(first)) : undefined;
}

/** Whether a candidate as it came holds a call. */
export function hasCall(candidate: JsonObject): boolean {
  const parts = objectOr(candidate["content"])["parts"];
  return (
    Array.isArray(parts) &&
    parts.some((part: Json) => isObject(part) && isObject(part["functionCall"]))
  );
}

export function encodeReply(reply: ChatReply): JsonObject {
  return {
    candidates: reply.choices.map(fromChoice),
    ...fromUsage(reply.usage),
    modelVersion: reply.model,
    responseId: reply.id,
  };
}

function fromChoice(choice: ChatChoice): JsonObject {
  const { parts, promptFeedback: _, finishReason, ...specific } = specificFields(choice);
  return {
    ...specific,
    content: {
      role: "model",
      parts: Array.isArray(parts) ? parts : toParts(choice.message),
    },
    finishReason: finishReason ?? fromFinishReason(choice.finish_reason ?? "stop"),
    index: choice.index,
    ...encodeLogprobs(choice.logprobs),
  };
}

const own = [
  "groundingMetadata",
  "citationMetadata",
  "safetyRatings",
  "urlContextMetadata",
  "parts",
];
const carried = [...own, "promptFeedback", "finishReason", "finishMessage", "avgLogprobs"];

/** Of a choice's own fields, those that are Gemini's. */
export function specificFields(choice: JsonObject): JsonObject {
  const fields = objectOr(choice["provider_specific_fields"]);
  return Object.fromEntries(Object.entries(fields).filter(([key]) => carried.includes(key)));
}

function toParts(message: ChatMessage): readonly JsonObject[] {
  const blocks = message.thinking_blocks ?? [];
  const reasoning = message.reasoning_content ?? message["reasoning"];
  const said = textOf(message.content) || textOf(message["refusal"]);
  const signature = signatureOf(message);
  const images = Array.isArray(message["images"]) ? message["images"].filter(isObject) : [];
  return [
    ...(blocks.length
      ? blocks.map(thoughtOf)
      : typeof reasoning === "string" && reasoning
        ? [{ text: reasoning, thought: true }]
        : []),
    ...(said || signature
      ? [{ text: said, ...(signature ? { thoughtSignature: signature } : {}) }]
      : []),
    ...images.flatMap(imagePart),
    ...(message.tool_calls ?? []).map(callPartOf),
  ];
}

/** A signed block of another maker as a thought that its own maker will know again. */
export function thoughtOf(block: JsonObject): JsonObject {
  const text = typeof block["thinking"] === "string" ? block["thinking"] : "";
  const isSigned = block["type"] !== "thinking" || Boolean(block["signature"]);
  return { text, thought: true, ...(isSigned ? { thoughtSignature: wrapBlock(block) } : {}) };
}

export function callPartOf(call: ToolCall): JsonObject {
  const signature = signatureOf(call);
  return {
    functionCall: {
      id: call.id,
      name: call.function?.name ?? "",
      args: toArgs(call.function?.arguments),
    },
    ...(signature ? { thoughtSignature: signature } : {}),
  };
}

function imagePart(image: JsonObject): JsonObject[] {
  const url = objectOr(image["image_url"])["url"];
  const match = typeof url === "string" ? /^data:([^;,]+);base64,(.*)$/s.exec(url) : null;
  return match ? [{ inlineData: { mimeType: match[1], data: match[2] } }] : [];
}

/** Content as text; some providers answer in parts. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  const texts = content.map((part: unknown) => (isObject(part) ? part["text"] : ""));
  return texts.filter((text) => typeof text === "string").join("");
}
