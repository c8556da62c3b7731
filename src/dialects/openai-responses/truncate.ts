/**
 * `truncation: "auto"` for models that do not do it themselves: the oldest turns go until the rest
 * fits the model's context window. A turn goes whole, so that no result stands without its call;
 * instructions and the last turn stay whatever their length, and the provider judges those.
 */
import type { ChatMessage, ChatRequest } from "../../domain/chat.ts";

/** The rule of thumb that routing counts by, too. */
const charsPerToken = 4;
const imageChars = 3_200;

export function truncateToFit(request: ChatRequest, maxInputTokens: number): ChatRequest {
  const room = maxInputTokens * charsPerToken - JSON.stringify(request.tools ?? []).length;
  const { kept, turns } = splitTurns(request.messages);
  let chars = [...kept, ...turns.flat()].reduce((sum, message) => sum + lengthOf(message), 0);
  let from = 0;
  for (; chars > room && from < turns.length - 1; from++) {
    for (const message of turns[from] ?? []) chars -= lengthOf(message);
  }
  if (from === 0) return request;
  return { ...request, messages: [...kept, ...turns.slice(from).flat()] };
}

/** What was said for all turns, and the turns: each begins with the user. */
function splitTurns(messages: readonly ChatMessage[]) {
  const kept: ChatMessage[] = [];
  const turns: ChatMessage[][] = [];
  for (const message of messages) {
    const { role } = message;
    if (role === "system" || role === "developer") kept.push(message);
    else if (role === "user" || turns.length === 0) turns.push([message]);
    else turns.at(-1)?.push(message);
  }
  return { kept, turns };
}

function lengthOf({
  content,
  tool_calls: calls,
  reasoning_content: reasoning,
}: ChatMessage): number {
  const parts = Array.isArray(content) ? content : [];
  const text = typeof content === "string" ? content.length : 0;
  const inParts = parts.reduce(
    (sum, part) => sum + (part.type === "image_url" ? imageChars : (part.text?.length ?? 0)),
    0,
  );
  const called = (calls ?? []).reduce((sum, call) => sum + call.function.arguments.length, 0);
  return 16 + text + inParts + called + (reasoning?.length ?? 0);
}
