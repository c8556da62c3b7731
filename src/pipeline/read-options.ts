/**
 * What a request asks of the gateway itself, in LiteLLM's words: by header, in the body, or in
 * `router_settings_override`. Nearly no request does, so that is what is looked for first.
 */
import type { CallOptions, FallbackList, FallbackTarget, RouterOverride } from "../domain/call.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Mock } from "../domain/model.ts";
import { assertNoDestination, readOwnAccess } from "../providers/own-access.ts";
import { toTarget } from "./fallbacks.ts";

type Source = Pick<Headers, "get">;

/** @throws GatewayError invalid_request */
export function readOptions(headers: Source, body: JsonObject): CallOptions {
  const retries = headers.get("x-litellm-num-retries");
  const timeout = headers.get("x-litellm-timeout");
  const streamTimeout = headers.get("x-litellm-stream-timeout");
  const named = retries !== null || timeout !== null || streamTimeout !== null;
  if (!named && !asksSomething(body)) return noOptions;
  const over = readOverride(body["router_settings_override"]);
  const numRetries = readNumber("x-litellm-num-retries", retries, body, "num_retries", over);
  const timeoutS =
    readNumber("x-litellm-timeout", timeout, body, "timeout") ??
    readNumber("", null, body, "request_timeout", over, "timeout");
  const streamS = readNumber(
    "x-litellm-stream-timeout",
    streamTimeout,
    body,
    "stream_timeout",
    over,
  );
  const whole = numRetries === undefined ? undefined : Math.floor(numRetries);
  return {
    ...(whole === undefined ? {} : { numRetries: whole }),
    ...(timeoutS === undefined ? {} : { timeoutMs: timeoutS * 1000 }),
    ...(streamS === undefined ? {} : { streamTimeoutMs: streamS * 1000 }),
    ...readFallbacks(body["fallbacks"]),
    ...(body["disable_fallbacks"] === true ? { disableFallbacks: true } : {}),
    ...readRegion(body["allowed_model_region"]),
    ...readAccess(body),
    ...readParamRules(body),
    ...readMock(body, whole),
    ...(over ? { router: toOverride(over) } : {}),
  };
}

const noOptions: CallOptions = {};

const knobs: ReadonlySet<string> = new Set([
  "num_retries",
  "timeout",
  "request_timeout",
  "stream_timeout",
  "fallbacks",
  "disable_fallbacks",
  "router_settings_override",
  "allowed_model_region",
  "api_base",
  "api_key",
  "base_url",
  "additional_drop_params",
  "allowed_openai_params",
  "mock_response",
  "mock_tool_calls",
  "mock_timeout",
  "mock_delay",
  "mock_testing_fallbacks",
  "mock_testing_context_fallbacks",
  "mock_testing_content_policy_fallbacks",
  "mock_testing_rate_limit_error",
]);

function asksSomething(body: JsonObject): boolean {
  for (const field in body) if (knobs.has(field)) return true;
  return false;
}

/** Header first, then body, as LiteLLM writes the one over the other; last, the override. */
function readNumber(
  header: string,
  text: string | null,
  body: JsonObject,
  field: string,
  over?: JsonObject,
  overField = field,
): number | undefined {
  const given = text ?? body[field] ?? over?.[overField];
  if (given === undefined || given === null) return undefined;
  const value = Number(given);
  if (Number.isFinite(value) && value >= 0 && typeof given !== "boolean") return value;
  const where =
    text !== null ? header : body[field] == null ? `router_settings_override.${overField}` : field;
  throw invalid(where, "a number of at least 0");
}

/** Names, or objects with a `model`, as LiteLLM takes them. */
function readFallbacks(value: Json | undefined): Pick<CallOptions, "fallbacks"> {
  if (value === undefined || value === null) return {};
  if (!Array.isArray(value)) throw invalid("fallbacks", "a list of model names");
  const fallbacks = value.map((item: Json, i): FallbackTarget => {
    if (isObject(item)) assertNoDestination(item);
    const target = toTarget(item);
    if (target) return target;
    throw invalid(`fallbacks[${i}]`, "a model name, or an object with one as `model`");
  });
  return { fallbacks };
}

function readRegion(value: Json | undefined): Pick<CallOptions, "region"> {
  if (value === undefined || value === null) return {};
  if (typeof value === "string" && value !== "") return { region: value };
  throw invalid("allowed_model_region", "the name of a region, such as eu");
}

function readAccess(body: JsonObject): Pick<CallOptions, "ownAccess"> {
  const ownAccess = readOwnAccess(body);
  return ownAccess ? { ownAccess } : {};
}

function readParamRules(body: JsonObject): Pick<CallOptions, "paramRules"> {
  const drop = readNames("additional_drop_params", body);
  const allow = readNames("allowed_openai_params", body);
  if (!drop && !allow) return {};
  return { paramRules: { ...(drop ? { drop } : {}), ...(allow ? { allow } : {}) } };
}

function readNames(field: string, body: JsonObject): readonly string[] | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  const isName = (each: Json) => typeof each === "string";
  if (Array.isArray(value) && value.length <= namesLimit && value.every(isName)) {
    return value as string[];
  }
  throw invalid(field, `a list of at most ${namesLimit} names`);
}

const namesLimit = 100;

function readOverride(value: Json | undefined): JsonObject | undefined {
  if (value === undefined || value === null) return undefined;
  if (isObject(value)) return value;
  throw invalid("router_settings_override", "an object");
}

/** What is about the whole router, or unknown, is passed over, as LiteLLM does. */
function toOverride(over: JsonObject): RouterOverride {
  const list = (key: string) => readList(over[key], `router_settings_override.${key}`);
  const fallbacks = list("fallbacks");
  const contextWindowFallbacks = list("context_window_fallbacks");
  const contentPolicyFallbacks = list("content_policy_fallbacks");
  const names = over["default_fallbacks"];
  const most = over["max_fallbacks"];
  const strategy = over["routing_strategy"];
  const policy = over["retry_policy"];
  const byGroup = over["model_group_retry_policy"];
  return {
    ...(fallbacks ? { fallbacks } : {}),
    ...(contextWindowFallbacks ? { contextWindowFallbacks } : {}),
    ...(contentPolicyFallbacks ? { contentPolicyFallbacks } : {}),
    ...(Array.isArray(names) ? { defaultFallbacks: names.map(String) } : {}),
    ...(Number.isInteger(most) && Number(most) >= 0 ? { maxFallbacks: Number(most) } : {}),
    ...(typeof strategy === "string" ? { routingStrategy: strategy } : {}),
    ...(isObject(policy) ? { retryPolicy: toPolicy(policy) } : {}),
    ...(isObject(byGroup)
      ? {
          modelGroupRetryPolicy: Object.fromEntries(
            Object.entries(byGroup).map(([group, each]) => [
              group,
              toPolicy(isObject(each) ? each : {}),
            ]),
          ),
        }
      : {}),
  };
}

const toPolicy = (policy: JsonObject): Record<string, number> =>
  Object.fromEntries(
    Object.entries(policy).filter(
      (entry): entry is [string, number] => Number.isInteger(entry[1]) && Number(entry[1]) >= 0,
    ),
  );

function readList(value: Json | undefined, param: string): FallbackList | undefined {
  if (value === undefined || value === null) return undefined;
  const isEntry = (entry: Json) => isObject(entry) && Object.values(entry).every(Array.isArray);
  if (Array.isArray(value) && value.every(isEntry)) return value as FallbackList;
  throw invalid(param, 'a list such as [{"gpt-4o": ["claude-sonnet"]}]');
}

/** The first group alone fails: these are there to try fallbacks out. */
const failures: readonly (readonly [field: string, response: string])[] = [
  ["mock_testing_fallbacks", "litellm.InternalServerError"],
  ["mock_testing_context_fallbacks", "litellm.ContextWindowExceededError"],
  ["mock_testing_content_policy_fallbacks", "litellm.ContentPolicyViolationError"],
];

function readMock(
  body: JsonObject,
  numRetries: number | undefined,
): Pick<CallOptions, "mock" | "mockedFirst" | "numRetries"> {
  const failing = failures.find(([field]) => body[field] === true);
  if (failing) {
    const mock: Mock = { response: failing[1] };
    // As in LiteLLM the failure is not tried again; the fallbacks have the call's own number.
    return { mock, mockedFirst: { numRetries }, numRetries: 0 };
  }
  if (body["mock_testing_rate_limit_error"] === true) {
    const mock: Mock = { response: "litellm.RateLimitError" };
    return { mock, mockedFirst: { numRetries } };
  }
  const response = body["mock_response"] ?? undefined;
  const calls = body["mock_tool_calls"];
  const hangs = body["mock_timeout"] === true;
  if (response === undefined && !hangs && !Array.isArray(calls)) return {};
  const delayMs = readNumber("", null, body, "mock_delay");
  const content = Array.isArray(calls)
    ? { tool_calls: calls, content: response ?? null }
    : response;
  return {
    mock: {
      ...(content === undefined ? {} : { response: content }),
      ...(hangs ? { hangs } : {}),
      ...(delayMs === undefined ? {} : { delayMs: delayMs * 1000 }),
    },
  };
}

function invalid(param: string, what: string): GatewayError {
  return new GatewayError("invalid_request", `"${excerpt(param)}" must be ${what}.`, { param });
}
