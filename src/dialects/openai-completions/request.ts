/** A prompt as one turn of the user, and a conversation as one prompt. */
import type { ChatRequest, ContentPart } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { checkOptional, invalid, type Kind, missing, without, wrongType } from "../read.ts";

const optional: readonly (readonly [string, Kind])[] = [
  ["stream", "boolean"],
  ["stream_options", "object"],
  ["temperature", "number"],
  ["top_p", "number"],
  ["n", "integer"],
  ["max_tokens", "integer"],
  ["echo", "boolean"],
  ["suffix", "string"],
  ["logprobs", "integer"],
  ["best_of", "integer"],
];

/** Chat has no word for these; at these values they ask for nothing. */
const unsaid: readonly (readonly [string, (value: Json) => boolean, string])[] = [
  ["echo", (value) => value === false, "does not repeat its prompt"],
  ["suffix", (value) => value === "", "does not fill in text before a suffix"],
  ["logprobs", () => false, "gives no log probabilities of a completion"],
  ["best_of", (value) => value === 1, "does not choose among several completions"],
];
const completionFields = new Set([...unsaid.map(([field]) => field), "prompt"]);

/** Called where a model of chat is to answer. @throws GatewayError invalid_request, unsupported_capability */
export function decodeRequest(body: JsonObject): ChatRequest {
  for (const [key, kind] of optional) checkOptional(body, key, kind);
  for (const [field, asksNothing, what] of unsaid) {
    const value = body[field];
    if (value === undefined || value === null || asksNothing(value)) continue;
    throw unsupported(
      field,
      `A chat model ${what}: leave out '${field}', or ask a completion model.`,
    );
  }
  const content = readPrompt(body["prompt"]);
  const request = { ...without(body, completionFields), messages: [{ role: "user", content }] };
  return request as unknown as ChatRequest; // `model` was checked before
}

/** One text. Several prompts, or tokens, only a completion model takes. */
function readPrompt(prompt: Json | undefined): string {
  if (prompt === undefined) throw missing("prompt");
  if (typeof prompt === "string") return prompt;
  if (!Array.isArray(prompt)) throw wrongType("prompt", "a string or an array", prompt);
  if (prompt.length === 0) throw invalid("prompt", "'prompt' is empty.");
  const [only] = prompt as readonly Json[];
  if (prompt.length === 1 && typeof only === "string") return only;
  if (prompt.every((each) => typeof each === "string")) {
    const message = "A chat model answers one prompt at a time: send one request for each.";
    throw unsupported("prompt", message);
  }
  throw unsupported("prompt", "A chat model takes its prompt as text, not as tokens.");
}

function unsupported(param: string, message: string): GatewayError {
  return new GatewayError("unsupported_capability", message, { param });
}

const chatFields = new Set(["messages", "max_completion_tokens", "parallel_tool_calls"]);
const refused = ["tools", "functions", "response_format"];

/** A conversation for a model that only goes on writing: who speaks stands before what is said. */
export function encodeRequest(
  request: ChatRequest,
  model: string,
  options: EncodeOptions = {},
): JsonObject {
  const asked = refused.filter((field) => request[field] !== undefined && request[field] !== null);
  if (asked[0] && !options.dropParams) {
    throw unsupported(asked[0], `A completion model has no '${asked[0]}': ask a chat model.`);
  }
  const limit = request.max_tokens ?? request.max_completion_tokens;
  return {
    ...without(request, new Set([...chatFields, ...refused, "tool_choice"])),
    model,
    prompt: toPrompt(request),
    ...(limit === undefined ? {} : { max_tokens: limit }),
  };
}

function toPrompt({ messages }: ChatRequest): string {
  const only = messages.length === 1 ? messages[0] : undefined;
  if (only) return textOf(only.content);
  const turns = messages.map(({ role, content }) => `${role}: ${textOf(content)}`);
  return `${turns.join("\n\n")}\n\nassistant:`;
}

function textOf(content: string | readonly ContentPart[] | null | undefined): string {
  if (typeof content === "string") return content;
  const parts = content ?? [];
  if (parts.some(({ type }) => type !== "text")) {
    throw unsupported(
      "messages",
      "A completion model reads text alone: leave out the other parts.",
    );
  }
  return parts.map(({ text }) => text ?? "").join("\n");
}
