/**
 * A call's body as a provider wants it. Where caller and provider speak the same dialect and
 * nothing needs to change, the caller's own text travels, with the model's name spliced in.
 */
import type { Dialect, ProviderDialect } from "../dialects/dialect.ts";
import { withoutPacked } from "../dialects/openai-responses/reasoning.ts";
import { truncateToFit } from "../dialects/openai-responses/truncate.ts";
import type { Call } from "../domain/call.ts";
import type { ChatRequest } from "../domain/chat.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Deployment, ParamRules } from "../domain/model.ts";
import { type JsonEdit, replaceJsonField, spliceJson } from "../std/json.ts";
import { encodeAllowing, modified, paramRulesOf, withoutDropped } from "./param-rules.ts";
import { type AdaptOptions, adaptBody, completesText, isChat, type Provider } from "./provider.ts";

/** What a caller may say to the gateway in the body, LiteLLM's words; a provider would refuse them. */
export const gatewayFields: ReadonlySet<string> = new Set([
  "additional_drop_params",
  "allowed_model_region",
  "allowed_openai_params",
  "api_base",
  "api_key",
  "base_url",
  "cache",
  "context_window_fallback_dict",
  "disable_fallbacks",
  "drop_params",
  "fallbacks",
  "guardrails",
  "fastest_response",
  "litellm_call_id",
  "litellm_metadata",
  "litellm_session_id",
  "litellm_trace_id",
  "max_retries",
  "mock_delay",
  "mock_response",
  "mock_testing_content_policy_fallbacks",
  "mock_testing_context_fallbacks",
  "mock_testing_fallbacks",
  "mock_testing_rate_limit_error",
  "mock_timeout",
  "mock_tool_calls",
  "no-log",
  "num_retries",
  "priority",
  "request_timeout",
  "router_settings_override",
  "stream_timeout",
  "tags",
  "timeout",
]);

/** The dialects that a call is asked in and sent in. */
export interface Sides {
  readonly caller: Dialect;
  readonly provider: ProviderDialect;
  /** `leavesAlone` of the provider and the deployment's model, where it is at hand. */
  readonly unchanged?: boolean;
}

export interface Encoded {
  readonly body: string;
  /** The reply comes in the caller's own dialect, so its bytes may pass. */
  readonly passes: boolean;
}

/** Costs one shallow copy of the body where the text passes, two serialisations where they do not. */
export function encodeBody(
  asked: Call,
  deployment: Deployment,
  provider: Provider,
  { caller: callerDialect, provider: dialect, unchanged }: Sides,
): Encoded {
  const model = deployment.upstreamModel;
  const rules = paramRulesOf(asked, deployment);
  const call = rules ? withoutDropped(asked, rules) : asked;
  const passes =
    !isChat(call.operation) ||
    callerDialect.name === dialect.name ||
    (call.operation === "completion" && completesText(provider, deployment));
  const defaults = hasFields(deployment.body);
  if (passes && !defaults && unchanged && dialect.name !== "openai-responses") {
    return { body: spliceCall(call, deployment, { provider, dialect }), passes };
  }
  const options = { dropParams: dropsParams(call, deployment), facts: deployment.facts };
  if (passes && !defaults) {
    const named = call.body["model"] === model ? call.body : { ...call.body, model };
    const whole = needsUsage(call, dialect, named) ? withUsage(named) : named;
    const isPlain = dialect.name !== "openai-responses" || withoutPacked(whole) === whole;
    if (isPlain && adaptFor(call, provider, whole, options) === whole) {
      return { body: spliceCall(call, deployment, { provider, dialect }), passes };
    }
  }
  const own = withoutGatewayFields(call);
  let body = passes
    ? withoutPacked({ ...own, model })
    : encodeRequest(
        // The operator's defaults are in our words, or in the provider's, which travel on.
        {
          ...(deployment.body as Partial<ChatRequest>),
          ...fit(callerDialect.decodeRequest(own), call, deployment),
        },
        (request) =>
          dialect.encodeRequest(request, model, { ...options, ...betasOf(call, deployment) }),
        deployment,
        rules,
      );
  if (needsUsage(call, dialect, body)) body = withUsage(body);
  if (defaults && passes) body = { ...deployment.body, ...body };
  const adapted = adaptFor(call, provider, body, options);
  return { body: JSON.stringify(withoutFields(adapted, outsideBody(call, provider))), passes };
}

/** Whether a provider changes no body for a model, which holds for as long as both do. */
export function leavesAlone(provider: Provider, model: string): boolean {
  const changes = provider.adapt?.some(({ applies }) => !applies || applies(model));
  return !changes && !provider.fit;
}

/** Anthropic's header, its words apart. */
function betasOf({ dialect, headers }: Call, deployment: Deployment): AskedBetas {
  const asked = dialect === "anthropic" ? headers.get("anthropic-beta") : null;
  const told = deployment.headers["anthropic-beta"];
  if (asked === null && told === undefined) return {};
  const words = `${told ?? ""},${asked ?? ""}`.split(",").map((word) => word.trim());
  return { betas: [...new Set(words.filter((word) => word !== ""))] };
}

type AskedBetas = { readonly betas?: readonly string[] };

function encodeRequest(
  request: ChatRequest,
  encode: (request: ChatRequest) => JsonObject,
  { facts }: Deployment,
  rules: ParamRules | undefined,
): JsonObject {
  if (!rules) return encode(request);
  return encodeAllowing(rules.modify ? modified(request, facts) : request, encode, rules);
}

/** A conversation whose caller lets its beginning go, cut to the model's window where that is known. */
function fit(request: ChatRequest, { operation, body }: Call, { facts }: Deployment): ChatRequest {
  const { maxInputTokens } = facts;
  if (operation !== "responses" || body["truncation"] !== "auto") return request;
  return maxInputTokens === undefined ? request : truncateToFit(request, maxInputTokens);
}

/** Fields of a chat that the provider's URL says instead. */
function outsideBody({ operation }: Call, provider: Provider): readonly string[] | undefined {
  return isChat(operation) ? provider.outsideBody : undefined;
}

/** Adaptations are of chat, and of embeddings that share its fields; the rest has its own. */
function adaptFor(
  { operation }: Call,
  provider: Provider,
  body: JsonObject,
  options: AdaptOptions,
): JsonObject {
  const adapted =
    isChat(operation) || operation === "embedding" ? adaptBody(provider, body, options) : body;
  return provider.fit?.[operation]?.request?.(adapted) ?? adapted;
}

/**
 * Whether parameters that the model cannot take are dropped rather than refused: where the operator
 * or the caller says so, and where the caller did not name this model (`auto`, a fallback) and so
 * could not know.
 */
function dropsParams({ body, requestedModel }: Call, deployment: Deployment): boolean {
  if (deployment.dropParams || body["drop_params"] === true) return true;
  const { group, candidate, upstreamModel } = deployment;
  return (
    requestedModel !== group && requestedModel !== candidate && requestedModel !== upstreamModel
  );
}

/** The caller's text with what must differ put in. Nearly always that is the model's name alone. */
function spliceCall(
  call: Call,
  deployment: Deployment,
  { provider, dialect }: { readonly provider: Provider; readonly dialect: ProviderDialect },
): string {
  const { upstreamModel } = deployment;
  const outside = outsideBody(call, provider);
  const asksUsage = needsUsage(call, dialect, call.body);
  if (!outside && !asksUsage && !dropsMetadata(call) && !hasGatewayField(call.body)) {
    const named = renamed(call.text, call.body["model"], upstreamModel);
    return named ?? replaceJsonField(call.text, "model", JSON.stringify(upstreamModel));
  }
  const edits: Record<string, JsonEdit> = {};
  for (const field in call.body) {
    if (gatewayFields.has(field)) edits[field] = { remove: true };
  }
  if (dropsMetadata(call)) edits["metadata"] = { remove: true };
  if (asksUsage) edits["stream_options"] = { merge: { include_usage: "true" } };
  if (outside) {
    for (const field of outside) edits[field] = { remove: true };
    return spliceJson(call.text, edits);
  }
  return spliceJson(call.text, { model: { set: JSON.stringify(upstreamModel) }, ...edits });
}

function hasGatewayField(body: JsonObject): boolean {
  for (const field in body) if (gatewayFields.has(field)) return true;
  return false;
}

/**
 * The text with its model's name put in place of the old one, found by looking for the key alone.
 * Undefined where that could be wrong: readers differ in which of two equal keys they believe, and
 * keys can be written with escapes. Only a text that shows one such key, which then is the body's
 * own, and no escape that could hide another, says the same to all.
 */
function renamed(text: string, from: unknown, to: string): string | undefined {
  const key = text.indexOf('"model"');
  if (key < 0 || text.indexOf('"model"', key + 7) >= 0 || text.includes("\\u")) return undefined;
  if (from === to) return text;
  if (typeof from !== "string" || !plainName.test(from) || !plainName.test(to)) return undefined;
  const at = text.indexOf(`"${from}"`, key + 7) + 1;
  if (at === 0 || !/^\s*:\s*"$/.test(text.slice(key + 7, at))) return undefined;
  return text.slice(0, at) + to + text.slice(at + from.length);
}

/** Written in JSON as it is. */
const plainName = /^[\w./:@ -]+$/;

/** OpenAI takes `metadata` only with `store`; LiteLLM's callers use it to talk to the gateway. */
function dropsMetadata({ body, dialect }: Call): boolean {
  return dialect === "openai-chat" && body["metadata"] !== undefined && body["store"] !== true;
}

/** A stream tells what it cost only when asked; Anthropic's always does. */
function needsUsage(call: Call, dialect: ProviderDialect, body: JsonObject): boolean {
  if (!call.stream || dialect.name !== "openai-chat" || !isChat(call.operation)) return false;
  const options = body["stream_options"];
  return !isObject(options) || options["include_usage"] !== true;
}

function withUsage(body: JsonObject): JsonObject {
  const options = isObject(body["stream_options"]) ? body["stream_options"] : {};
  return { ...body, stream_options: { ...options, include_usage: true } };
}

function withoutGatewayFields(call: Call): JsonObject {
  const body: Record<string, JsonObject[string]> = { ...call.body };
  for (const field of gatewayFields) delete body[field];
  if (dropsMetadata(call)) delete body["metadata"];
  return body;
}

function withoutFields(body: JsonObject, fields: readonly string[] = []): JsonObject {
  if (!fields.some((field) => field in body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([key]) => !fields.includes(key)));
}

function hasFields(body: object): boolean {
  for (const _ in body) return true;
  return false;
}
