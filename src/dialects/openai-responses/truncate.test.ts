/** Which turns stay where a conversation is longer than its model's window. */
import { expect, test } from "bun:test";
import type { ChatMessage } from "../../domain/chat.ts";
import { truncateToFit } from "./truncate.ts";

const long = "x".repeat(400); // 100 tokens
const said = (role: ChatMessage["role"], content: string, more = {}): ChatMessage => ({
  role,
  content,
  ...more,
});
const call = { id: "c", type: "function" as const, function: { name: "f", arguments: long } };
const messages = [
  said("system", "Be brief."),
  said("user", `one ${long}`),
  said("assistant", "", { tool_calls: [call] }),
  said("tool", long, { tool_call_id: "c" }),
  said("assistant", `done ${long}`),
  said("user", `two ${long}`),
  said("assistant", long),
  said("user", "three"),
];

test.each([
  [1_000, ["system", "user", "assistant", "tool", "assistant", "user", "assistant", "user"]],
  [300, ["system", "user", "assistant", "user"]], // a turn goes with its calls and their results
  [100, ["system", "user"]],
  [1, ["system", "user"]], // the last turn is the question
])("%d tokens", (limit, roles) => {
  const request = { model: "m", messages };
  const fitted = truncateToFit(request, limit);
  expect(fitted.messages.map(({ role }) => role)).toEqual(roles as ChatMessage["role"][]);
  expect(fitted.messages.at(-1)).toBe(messages.at(-1) as ChatMessage);
});
