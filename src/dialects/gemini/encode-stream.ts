/**
 * Our chunks as Gemini's stream. A call's arguments are an object there, so calls wait until they
 * are whole; the last frame has the reason to stop and the usage, and nothing follows it.
 */
import type {
  ChatChunk,
  ChunkChoice,
  ToolCall,
  ToolCallDelta,
  WireUsage,
} from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { encodeSse } from "../../std/sse.ts";
import { assertHeld } from "../decode-wire.ts";
import { encodeLogprobs } from "./logprobs.ts";
import { callPartOf, specificFields, textOf, thoughtOf } from "./reply.ts";
import { signatureOf, withSignature } from "./signatures.ts";
import { fromUsage } from "./usage.ts";
import { fromFinishReason } from "./wire.ts";

export async function* encodeStream(chunks: AsyncIterable<ChatChunk>): AsyncGenerator<string> {
  const stream = new StreamEncoder();
  for await (const chunk of chunks) {
    const text = stream.see(chunk);
    if (text) yield text;
  }
  yield stream.finish();
}

interface OpenCall {
  readonly id: string;
  readonly name: string;
  arguments: string;
  signature: string | undefined;
}

/** A choice so far. */
interface Branch {
  readonly calls: OpenCall[];
  /** By the provider's index: the call in `calls`. */
  readonly byIndex: Map<number, number>;
  finishReason: string | undefined;
  specific: JsonObject;
  /** Thoughts whose text went out already. */
  thought: string;
}

class StreamEncoder {
  private id = "";
  private model = "";
  private usage: WireUsage | undefined;
  private readonly branches = new Map<number, Branch>();

  see(chunk: ChatChunk): string {
    if (chunk.usage) this.usage = chunk.usage;
    this.id ||= chunk.id;
    this.model ||= chunk.model;
    const candidates = chunk.choices.flatMap((choice) => this.candidate(choice));
    return candidates.length ? this.frame({ candidates }) : "";
  }

  finish(): string {
    const candidates = [...this.branches].map(([index, branch]) => {
      const { parts: _, promptFeedback: __, finishReason, ...specific } = branch.specific;
      const parts = branch.calls.map(toCallPart);
      return {
        ...specific,
        content: { role: "model", parts: parts.length ? parts : [{ text: "" }] },
        finishReason: finishReason ?? fromFinishReason(branch.finishReason ?? "stop"),
        index,
      };
    });
    return this.frame({ candidates, ...fromUsage(this.usage) });
  }

  private frame(fields: JsonObject): string {
    const body = { ...fields, modelVersion: this.model, responseId: this.id };
    return encodeSse({ data: JSON.stringify(body) });
  }

  /** What of a choice can go out at once. */
  private candidate(choice: ChunkChoice): JsonObject[] {
    const { index, delta = {} } = choice;
    const branch = this.branches.get(index) ?? newBranch();
    this.branches.set(index, branch);
    if (choice.finish_reason) branch.finishReason = choice.finish_reason;
    branch.specific = { ...branch.specific, ...specificFields(choice) };
    for (const call of delta.tool_calls ?? []) take(call, branch);
    const parts = partsOf(delta, branch);
    const logprobs = encodeLogprobs(choice.logprobs);
    if (parts.length === 0 && Object.keys(logprobs).length === 0) return [];
    return [{ content: { role: "model", parts }, index, ...logprobs }];
  }
}

function partsOf(delta: ChunkChoice["delta"], branch: Branch): JsonObject[] {
  const reasoning = delta.reasoning_content ?? delta["reasoning"];
  const parts: JsonObject[] = [];
  if (typeof reasoning === "string" && reasoning) {
    branch.thought += reasoning;
    assertHeld(branch.thought.length);
    parts.push({ text: reasoning, thought: true });
  }
  for (const block of delta.thinking_blocks ?? []) {
    const thought = thoughtOf(block);
    // A block comes whole at its end; its text has mostly gone out, so that the signature is left.
    const isSaid = branch.thought !== "" && branch.thought === thought["text"];
    if (isSaid && thought["thoughtSignature"] === undefined) continue;
    parts.push(isSaid ? { ...thought, text: "" } : thought);
    branch.thought = "";
  }
  const said = textOf(delta.content) || textOf(delta.refusal);
  const signature = signatureOf(delta);
  if (said || signature) {
    parts.push({ text: said, ...(signature ? { thoughtSignature: signature } : {}) });
  }
  const images = delta["images"];
  if (Array.isArray(images)) parts.push(...images.filter(isObject).flatMap(toInline));
  return parts;
}

function toInline(image: JsonObject): JsonObject[] {
  const holder: Json | undefined = image["image_url"];
  const url = isObject(holder) ? holder["url"] : undefined;
  const match = typeof url === "string" ? /^data:([^;,]+);base64,(.*)$/s.exec(url) : null;
  return match ? [{ inlineData: { mimeType: match[1], data: match[2] } }] : [];
}

/** A new id under a known index is a new call: some providers number all of them 0. */
function take(delta: ToolCallDelta, { calls, byIndex }: Branch): void {
  const { index = 0, id, function: called } = delta;
  const known = byIndex.get(index);
  const isNew = known === undefined || (id && called?.name && calls[known]?.id !== id);
  if (isNew) {
    byIndex.set(index, calls.length);
    calls.push({
      id: id ?? `call_${calls.length}`,
      name: called?.name ?? "",
      arguments: "",
      signature: undefined,
    });
    assertHeld(calls.length * 64);
  }
  const call = calls[byIndex.get(index) ?? 0];
  if (!call) return;
  call.arguments += called?.arguments ?? "";
  call.signature ??= signatureOf(delta);
  assertHeld(call.arguments.length);
}

function toCallPart({ id, name, arguments: args, signature }: OpenCall): JsonObject {
  const call: ToolCall = {
    id,
    type: "function",
    function: { name, arguments: args },
    ...withSignature(signature),
  };
  return callPartOf(call);
}

const newBranch = (): Branch => ({
  calls: [],
  byIndex: new Map(),
  finishReason: undefined,
  specific: {},
  thought: "",
});
