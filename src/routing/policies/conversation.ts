/** A conversation as text inside a prompt, bounded; and what is put there made unable to pose as markup. */
import type { ChatMessage, ChatRequest } from "../../domain/chat.ts";
import { isObject } from "../../domain/json.ts";
import { policyLimits } from "./policy.ts";

/**
 * What was said, the latest part where it is too long. One user turn alone is its text, without a
 * heading: that is what models trained to route have seen.
 */
export function tellConversation(
  { messages }: Pick<ChatRequest, "messages">,
  limit: number = policyLimits.conversationChars,
): string {
  const said = messages
    .map(({ role, content }) => ({ role, text: textOf(content) }))
    .filter(({ text }) => text !== "");
  const [only] = said;
  if (said.length === 1 && only?.role === "user") return only.text.slice(-limit);
  return said
    .map(({ role, text }) => `[${role}]\n${text}`)
    .join("\n\n")
    .slice(-limit);
}

/** The text of a message's content; other parts carry none. */
export function textOf(content: ChatMessage["content"]): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .flatMap((part) => (isObject(part) && typeof part["text"] === "string" ? [part["text"]] : []))
    .join("\n");
}

/** Another model's text on its way into a prompt: cut, and without tags that would end its place there. */
export function quote(text: string, tags: readonly string[], limit = policyLimits.quoteChars) {
  const closing = new RegExp(`<\\s*/?\\s*(${tags.join("|")})\\s*>`, "gi");
  const cut = text.length > limit ? `${text.slice(0, limit)} […]` : text;
  return cut.replace(closing, "");
}

/** What a reasoning model thought before it spoke is not its answer. */
export function withoutThought(text: string): string {
  return text.replace(/^\s*<think>[\s\S]*?<\/think>/i, "").trim();
}

/** Why a request cannot be answered in pieces or by a text of another's making; undefined where it can. */
export function notPlainText(chat: ChatRequest): string | undefined {
  const { tools, response_format: format, n, messages } = chat;
  if (tools !== undefined && tools.length > 0) return "a request with tools goes to one model";
  if (isObject(format) && format["type"] !== "text") return "a request for JSON goes to one model";
  if (n !== undefined && n > 1) return "a request for several answers goes to one model";
  const media = messages.some(
    ({ content }) => Array.isArray(content) && content.some((part) => part["type"] !== "text"),
  );
  return media ? "a request with images or sound goes to one model" : undefined;
}
