/**
 * The text that routing sees of a request. Training on logs and serving both come through here, so
 * that what was learnt is what is asked; training rows that have a bare `query` use `toQuery`.
 *
 * The rule: the text of the last user turn, at most `turnChars` of it (its head and its tail: the
 * instruction stands at one of the two). A turn shorter than `shortTurnChars` ("yes, go on") says
 * too little by itself, so up to `contextChars` of the conversation before it are put in front,
 * the latest part. System prompts are left out: they are the application's, the same for all of
 * its calls. A user turn that holds only tool results is not a turn of the user.
 */
import type { RoutingQuery, RoutingTool } from "../domain/features.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";

export const queryLimits = {
  turnChars: 8_000,
  shortTurnChars: 80,
  contextChars: 1_000,
  tools: 128,
} as const;

/** A request body of any dialect: all say `messages` or `input` with `role` and `content`, and `tools`. */
export function toRoutingQuery(body: JsonObject): RoutingQuery {
  const input = body["messages"] ?? body["input"] ?? body["prompt"];
  if (!Array.isArray(input)) {
    return toQuery(typeof input === "string" ? input : "", toTools(body["tools"]));
  }
  let last = input.length - 1;
  let turn = "";
  for (; last >= 0; last--) {
    const message = input[last];
    if (!isObject(message) || message["role"] !== "user") continue;
    turn = textOf(message["content"]);
    if (turn !== "") break;
  }
  if (turn.length >= queryLimits.shortTurnChars || last <= 0) {
    return toQuery(turn, toTools(body["tools"]));
  }
  const context = contextBefore(input, last);
  return toQuery(context ? `${context}\n\n${turn}` : turn, toTools(body["tools"]));
}

/** A bare query, as data rows have it, under the same bounds. */
export function toQuery(text: string, tools: readonly RoutingTool[] = []): RoutingQuery {
  const { turnChars } = queryLimits;
  if (text.length <= turnChars) return { text, tools };
  const half = turnChars / 2;
  return { text: `${text.slice(0, half)}\n${text.slice(-half)}`, tools };
}

/**
 * A conversation's own name where the caller gave none: its first turns and who speaks.
 * Undefined where there is no user turn to tell one conversation from another.
 */
export function firstTurns(body: JsonObject): string | undefined {
  const messages = body["messages"] ?? body["input"];
  const said = body["system"] ?? body["instructions"];
  const system = typeof said === "string" ? said.slice(0, 500) : "";
  if (typeof messages === "string") return `${system}\n${messages.slice(0, 2_000)}`;
  if (!Array.isArray(messages)) return undefined;
  for (const message of messages) {
    if (!isObject(message) || message["role"] !== "user") continue;
    return `${system}\n${textOf(message["content"]).slice(0, 2_000)}`;
  }
  return undefined;
}

/** True from the second turn on: the model has answered before. */
export function hasAnswer(body: JsonObject): boolean {
  const messages = body["messages"] ?? body["input"];
  return (
    Array.isArray(messages) &&
    messages.some((message) => isObject(message) && message["role"] === "assistant")
  );
}

/** Tokens of the input by the rule of thumb of four characters each; images count as 800. */
export function estimateInputTokens(body: JsonObject): number {
  const messages = body["messages"] ?? body["input"] ?? body["prompt"];
  let chars = lengthOf(body["system"]) + lengthOf(body["instructions"]);
  if (typeof messages === "string") chars += messages.length;
  if (Array.isArray(messages)) {
    for (const message of messages) {
      if (typeof message === "number") {
        chars += 4; // a token already
        continue;
      }
      chars += 16; // role and framing
      chars += isObject(message)
        ? lengthOf(message["content"]) +
          lengthOf(message["output"]) +
          lengthOf(message["arguments"])
        : lengthOf(message);
    }
  }
  if (Array.isArray(body["tools"])) chars += JSON.stringify(body["tools"]).length;
  return Math.ceil(chars / 4);
}

const imageChars = 3_200;
const imageTypes: ReadonlySet<unknown> = new Set(["image_url", "image", "input_image"]);

function lengthOf(content: Json | undefined): number {
  if (typeof content === "string") return content.length;
  if (!Array.isArray(content)) return 0;
  let chars = 0;
  for (const part of content) {
    if (typeof part === "number") chars += 4;
    if (!isObject(part)) continue;
    if (typeof part["text"] === "string") chars += part["text"].length;
    else if (imageTypes.has(part["type"])) chars += imageChars;
    else if (part["type"] === "tool_result") chars += lengthOf(part["content"]);
  }
  return chars;
}

/** The latest part of what was said before a turn, in order. */
function contextBefore(messages: readonly Json[], before: number): string {
  const parts: string[] = [];
  let left: number = queryLimits.contextChars;
  for (let i = before - 1; i >= 0 && left > 0; i--) {
    const message = messages[i];
    if (!isObject(message)) continue;
    if (message["role"] !== "user" && message["role"] !== "assistant") continue;
    const text = textOf(message["content"]);
    if (text === "") continue;
    parts.push(text.slice(-left));
    left -= text.length;
  }
  return parts.reverse().join("\n\n");
}

/** The text of a message's content, its parts joined; images and tool results carry none. */
function textOf(content: Json | undefined): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  const texts: string[] = [];
  for (const part of content) {
    if (typeof part === "string") texts.push(part);
    else if (isObject(part) && typeof part["text"] === "string") texts.push(part["text"]);
  }
  return texts.join("\n");
}

function toTools(tools: Json | undefined): RoutingTool[] {
  if (!Array.isArray(tools)) return [];
  return tools.slice(0, queryLimits.tools).flatMap((tool) => {
    if (!isObject(tool)) return [];
    const body = isObject(tool["function"]) ? tool["function"] : tool; // OpenAI's wraps, Anthropic's not
    const { name, description } = body;
    if (typeof name !== "string") return [];
    const parameters = body["parameters"] ?? body["input_schema"];
    return [
      {
        name,
        ...(typeof description === "string" ? { description } : {}),
        ...(parameters === undefined ? {} : { parameters }),
      },
    ];
  });
}
