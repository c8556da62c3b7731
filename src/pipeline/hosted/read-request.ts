/**
 * A request with hosted tools, as the chat that its rounds ask: the tools as functions, what such
 * tools did in earlier turns as calls of these functions, and the calls that the caller has approved.
 */
import type { Dialect } from "../../dialects/dialect.ts";
import type { Call } from "../../domain/call.ts";
import type { ChatMessage, ChatRequest, ChatTool } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { isHosted } from "./hosted-types.ts";
import { readMessages, toMessagesBody } from "./messages-api.ts";
import type { ApprovedCall } from "./restore-items.ts";
import { restoreItems } from "./restore-items.ts";
import { restoreMessages } from "./restore-messages.ts";
import { type Toolbox, toFunction } from "./toolbox.ts";

export interface HostedRequest {
  /** As a chat: all tools are functions. */
  readonly chat: ChatRequest;
  readonly approved: readonly ApprovedCall[];
  /** Labels whose tools the conversation has listed before. */
  readonly listed: ReadonlySet<string>;
  /** In which dialect the rounds ask, and what they send: where it is not the chat itself. */
  readonly inDialect?: "anthropic";
  readonly toBody?: (round: ChatRequest) => JsonObject;
}

/** Names of the caller's own functions in a request, in either dialect. */
export function ownNames({ body }: Call): readonly string[] {
  const tools = Array.isArray(body["tools"]) ? body["tools"].filter(isObject) : [];
  return tools.flatMap((tool) => {
    const name = tool["name"] ?? (isObject(tool["function"]) ? tool["function"]["name"] : "");
    return typeof name === "string" && name !== "" ? [name] : [];
  });
}

/** @throws GatewayError invalid_request, unsupported_capability */
export function readRequest(call: Call, toolbox: Toolbox, dialect: Dialect): HostedRequest {
  if (call.dialect === "anthropic") {
    const messages = readMessages(call.body, toolbox, dialect);
    return {
      chat: messages.chat,
      approved: [],
      listed: new Set(),
      inDialect: "anthropic",
      toBody: (round) => toMessagesBody(messages, round, dialect),
    };
  }
  return call.operation === "responses"
    ? readResponses(call.body, toolbox, dialect)
    : readChat(call.body, toolbox, dialect);
}

function readResponses(body: JsonObject, toolbox: Toolbox, dialect: Dialect): HostedRequest {
  const restored = restoreItems(body["input"], toolbox);
  const flat = toolbox.offered.map(
    (each): JsonObject => ({ type: "function", ...toFunction(each).function, strict: false }),
  );
  const { tool_choice: choice, ...rest } = body;
  const chosen = readChoice(choice, toolbox);
  const chat = dialect.decodeRequest({
    ...rest,
    ...(restored.input === undefined ? {} : { input: restored.input }),
    tools: [...others(body), ...flat],
    ...(chosen === undefined ? {} : { tool_choice: chosen }),
  });
  const { approved, listed } = restored;
  return { chat, approved, listed };
}

function readChat(body: JsonObject, toolbox: Toolbox, dialect: Dialect): HostedRequest {
  if (typeof body["n"] === "number" && body["n"] > 1) {
    const message = "'n' must be 1 where the gateway runs tools.";
    throw new GatewayError("invalid_request", message, { param: "n" });
  }
  const { tool_choice: choice, ...rest } = body;
  const chosen = readChoice(choice, toolbox);
  const chat = dialect.decodeRequest({
    ...rest,
    messages: restoreMessages(body["messages"], toolbox),
    tools: [...others(body), ...toolbox.offered.map(toFunction)],
    ...(chosen === undefined ? {} : { tool_choice: toChatChoice(chosen) }),
  });
  return { chat, approved: [], listed: new Set() };
}

const others = ({ tools }: JsonObject): readonly Json[] =>
  Array.isArray(tools) ? tools.filter((tool) => !isHosted(tool)) : [];

/** A choice that names a hosted tool, by the functions in its place: in the Responses API's words. */
function readChoice(choice: Json | undefined, toolbox: Toolbox): Json | undefined {
  if (!isObject(choice)) return choice;
  const { type } = choice;
  if (type === "allowed_tools" && Array.isArray(choice["tools"])) {
    return { ...choice, tools: choice["tools"].flatMap((tool) => functionsOf(tool, toolbox)) };
  }
  if (!isHosted(choice)) return choice;
  const tools = functionsOf(choice, toolbox);
  const [only] = tools;
  if (only && tools.length === 1) return only;
  if (tools.length > 1) return { type: "allowed_tools", mode: "required", tools };
  const message = "'tool_choice' names none of the tools of this request.";
  throw new GatewayError("invalid_request", message, { param: "tool_choice" });
}

function functionsOf(choice: Json, { offered }: Toolbox): readonly Json[] {
  if (!isObject(choice) || !isHosted(choice)) return [choice];
  const { type, server_label: label, name, skill_id: skill } = choice;
  return offered
    .filter(({ set, tool }) => {
      if (type === "file_search") return set.shownAs === "file_search";
      if (type === "skill") return skill === undefined || tool.name === skill || tool.name === name;
      return set.label === label && (typeof name !== "string" || tool.name === name);
    })
    .map((each): JsonObject => ({ type: "function", name: each.name }));
}

/** Chat wraps what the Responses API has flat; of several it can only say that one is needed. */
function toChatChoice(choice: Json): Json {
  if (!isObject(choice)) return choice;
  if (choice["type"] === "function" && typeof choice["name"] === "string") {
    return { type: "function", function: { name: choice["name"] } };
  }
  if (choice["type"] === "allowed_tools" && Array.isArray(choice["tools"])) {
    return choice["mode"] === "required" ? "required" : "auto";
  }
  return choice;
}

/** The conversation with the result of a call in the place that waits for it. */
export function withResult(
  messages: readonly ChatMessage[],
  callId: string,
  content: string,
): readonly ChatMessage[] {
  return messages.map((message) =>
    message.role === "tool" && message.tool_call_id === callId ? { ...message, content } : message,
  );
}

export const isFunction = (tool: ChatTool): boolean => tool.type === "function";
