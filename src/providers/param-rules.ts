/**
 * LiteLLM's rules for parameters, of a row or of a request: fields that the model does not get
 * (`additional_drop_params`), fields that it takes although its dialect is not known to
 * (`allowed_openai_params`), and what is put right where it would be refused (`modify_params`).
 */
import type { Call } from "../domain/call.ts";
import type { ChatMessage, ChatRequest } from "../domain/chat.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Deployment, ModelFacts, ParamRules } from "../domain/model.ts";

/** Both lists count; undefined where neither the row nor the request has any. */
export function paramRulesOf(call: Call, { paramRules: row }: Deployment): ParamRules | undefined {
  const own = call.options.paramRules;
  if (!row || !own) return row ?? own;
  return {
    ...row,
    drop: [...(row.drop ?? []), ...(own.drop ?? [])],
    allow: [...(row.allow ?? []), ...(own.allow ?? [])],
  };
}

/** The call without the fields; itself where it has none of them. */
export function withoutDropped(call: Call, { drop = [] }: ParamRules): Call {
  const body = drop.reduce(dropField, call.body);
  return body === call.body ? call : { ...call, body, text: JSON.stringify(body) };
}

/** A path: `seed`, `response_format.strict`, `tools[*].function.strict`, `messages[0].name`. */
export function dropField(body: JsonObject, path: string): JsonObject {
  const steps = path.match(/[^.[\]]+/g) ?? [];
  return steps.length === 0 ? body : (without(body, steps) as JsonObject);
}

function without(value: Json, steps: readonly string[]): Json {
  const [step = "", ...rest] = steps;
  if (Array.isArray(value)) {
    const changed = value.map((item: Json, i) =>
      step === "*" || step === String(i) ? without(item, rest) : item,
    );
    return changed.every((item, i) => item === value[i]) ? value : changed;
  }
  if (!isObject(value) || !Object.hasOwn(value, step)) return value;
  if (rest.length === 0) {
    const { [step]: _, ...kept } = value;
    return kept;
  }
  const before = value[step] as Json;
  const after = without(before, rest);
  return after === before ? value : { ...value, [step]: after };
}

/**
 * Encodes a request of which some parameters are taken as they are: what the dialect refuses of
 * them is left out of the translation and put beside it. @throws GatewayError of any other
 */
export function encodeAllowing(
  request: ChatRequest,
  encode: (request: ChatRequest) => JsonObject,
  { allow = [] }: ParamRules,
): JsonObject {
  let known = request;
  const aside: Record<string, Json | undefined> = {};
  for (let tries = 0; tries <= allow.length; tries++) {
    try {
      return { ...encode(known), ...(aside as JsonObject) };
    } catch (thrown) {
      const param = thrown instanceof GatewayError ? thrown.param : undefined;
      if (param === undefined || !allow.includes(param) || !(param in known)) throw thrown;
      const { [param]: value, ...rest } = known;
      aside[param] = value as Json;
      known = rest as ChatRequest;
    }
  }
  return encode(known);
}

const dummyTool = {
  type: "function",
  function: {
    name: "dummy_tool",
    description: "This is a dummy tool call",
    parameters: { type: "object", properties: {} },
  },
} as const;

/** LiteLLM's repairs: a first turn of the user's, tools where turns call some, no more tokens than there are. */
export function modified(request: ChatRequest, { maxOutputTokens }: ModelFacts): ChatRequest {
  const { messages, tools } = request;
  const first = messages.find(({ role }) => role !== "system" && role !== "developer");
  const begins = first === undefined || first.role === "user";
  const callsTools = messages.some(usesTools) && (!tools || tools.length === 0);
  const most = (asked: number | undefined | null) =>
    typeof asked === "number" && maxOutputTokens !== undefined && asked > maxOutputTokens;
  if (begins && !callsTools && !most(request.max_tokens) && !most(request.max_completion_tokens)) {
    return request;
  }
  const opening: ChatMessage = { role: "user", content: "Please continue." };
  const at = first ? messages.indexOf(first) : messages.length;
  return {
    ...request,
    ...(begins ? {} : { messages: [...messages.slice(0, at), opening, ...messages.slice(at)] }),
    ...(callsTools ? { tools: [dummyTool] } : {}),
    ...(most(request.max_tokens) ? { max_tokens: maxOutputTokens } : {}),
    ...(most(request.max_completion_tokens) ? { max_completion_tokens: maxOutputTokens } : {}),
  } as ChatRequest;
}

function usesTools(message: ChatMessage): boolean {
  const calls = message["tool_calls"];
  return message.role === "tool" || (Array.isArray(calls) && calls.length > 0);
}
