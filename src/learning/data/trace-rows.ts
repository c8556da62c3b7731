/**
 * A span of a model call as a row: query, model, tokens, cost, latency, and a score where one can be
 * known: from labels joined by id, from an evaluation on the span, or because the call failed. A call
 * that merely succeeded says nothing of its quality, so it is counted and left out.
 * Sources: https://opentelemetry.io/docs/specs/semconv/gen-ai/, its older forms (`gen_ai.prompt`),
 * OpenInference (`input.value`, `llm.*`), and the predecessor's `routeiq.router_decision.v1`.
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import { toRoutingQuery } from "../../routing/query-text.ts";
import { defined, textOf, toTools } from "./fields.ts";
import type { Label, Labels } from "./labels.ts";
import type { DataRow } from "./row.ts";
import type { TraceSpan } from "./spans.ts";

export type SpanReading =
  | { readonly row: DataRow }
  /** Not a model call; a call without its prompt; one without a score. */
  | { readonly row?: undefined; readonly because: "other" | "no_text" | "unlabelled" };

type Attributes = Readonly<Record<string, unknown>>;

export function readSpan(span: TraceSpan, labels: Labels | undefined): SpanReading {
  const { attributes } = span;
  const decision = toDecision(span);
  const model = firstText(
    attributes["gen_ai.response.model"],
    attributes["gen_ai.request.model"],
    attributes["llm.model_name"],
    attributes["router.model_selected"],
    decision?.["selected_deployment"],
  );
  if (model === undefined) return { because: "other" };
  const query = toSpanQuery(span);
  if (query === undefined || query.text === "") return { because: "no_text" };
  const label = toLabel(span, labels, decision);
  if (!label) return { because: "unlabelled" };
  const number = (...keys: string[]) => firstNumber(...keys.map((key) => attributes[key]));
  const outcome = {
    score: label.score,
    ...defined({
      inputTokens: number(
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
      ),
      outputTokens: number(
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
      ),
      costUsd: number(
        "routeiq.cost_usd",
        "gen_ai.usage.cost",
        "llm.cost.total",
        "llm.cost.total_cost",
      ),
      latencyMs: span.durationMs > 0 ? span.durationMs : undefined,
    }),
  };
  const category = firstText(attributes["litellm.task"]);
  return {
    row: {
      id: firstText(attributes["routeiq.call_id"]) ?? `${span.traceId}:${span.spanId}`,
      query: query.text,
      tools: query.tools,
      outcomes: new Map([[model, outcome]]),
      label: label.source,
      session:
        firstText(attributes["gen_ai.conversation.id"], attributes["session.id"]) ?? span.traceId,
      ...(category === undefined ? {} : { category }),
    },
  };
}

/** The predecessor's event; versions other than its first are not read. */
function toDecision({ events, attributes }: TraceSpan): JsonObject | undefined {
  const event = events.find(({ name }) => name.startsWith("routeiq.router_decision"));
  const key = "routeiq.router_decision.payload";
  const payload = event?.attributes[key] ?? attributes[key];
  const value = typeof payload === "string" ? parseJson(payload) : payload;
  if (!isObject(value)) return undefined;
  return /^v1(\.[01])?$/.test(String(value["contract_version"])) ? value : undefined;
}

function toLabel(
  { traceId, spanId, attributes, events, failed }: TraceSpan,
  labels: Labels | undefined,
  decision: JsonObject | undefined,
): Label | undefined {
  const ids = [attributes["routeiq.call_id"], attributes["routeiq.request_id"], spanId, traceId];
  const given = labels?.find(ids.filter((id) => typeof id === "string" && id !== "") as string[]);
  if (given) return given;
  const evaluation = events.find(({ name }) => name === "gen_ai.evaluation.result")?.attributes;
  const score = firstNumber(
    attributes["routeiq.feedback.score"],
    attributes["gen_ai.evaluation.score.value"],
    evaluation?.["gen_ai.evaluation.score.value"],
    attributes["eval.score"],
  );
  if (score !== undefined && score >= 0 && score <= 1) {
    const people = attributes["routeiq.feedback.score"] !== undefined;
    return { score, source: people ? "feedback" : "judge" };
  }
  const outcome = isObject(decision?.["outcome"]) ? decision["outcome"]["status"] : undefined;
  const broken = failed || /^(failure|error|timeout)$/.test(String(outcome));
  return broken ? { score: 0, source: "outcome" } : undefined;
}

/** The prompt in whichever form the span has it, as routing would have seen it. */
function toSpanQuery({ attributes, events }: TraceSpan) {
  const messages =
    toMessages(attributes["gen_ai.input.messages"]) ??
    toMessages(attributes["gen_ai.prompt"]) ??
    indexedMessages(attributes, "gen_ai.prompt.", "") ??
    indexedMessages(attributes, "llm.input_messages.", "message.") ??
    eventMessages(events) ??
    toMessages(attributes["input.value"]) ??
    toMessages(attributes["traceloop.entity.input"]);
  if (messages === undefined) return undefined;
  const tools = toTools(
    parseJson(attributes["gen_ai.tool.definitions"] ?? attributes["llm.tools"]),
  );
  return { ...toRoutingQuery({ messages } as JsonObject), tools };
}

type Message = { readonly role: string; readonly content: string };

/** Messages as JSON, as a list, or a bare prompt. */
function toMessages(value: unknown): Message[] | undefined {
  const parsed = parseJson(value);
  if (Array.isArray(parsed)) {
    const messages = parsed.flatMap(toMessage);
    return messages.length > 0 ? messages : undefined;
  }
  if (isObject(parsed)) {
    return toMessages(parsed["messages"] ?? parsed["prompt"] ?? parsed["input"]) ?? undefined;
  }
  return typeof value === "string" && value !== "" ? [{ role: "user", content: value }] : undefined;
}

function toMessage(value: unknown): Message[] {
  if (!isObject(value)) return [];
  const role = textOf(value["role"]) ?? "user";
  const { content, parts } = value;
  if (typeof content === "string") return [{ role, content }];
  const list = Array.isArray(parts) ? parts : Array.isArray(content) ? content : [];
  const texts = list.filter(isObject).flatMap((part) => {
    return textOf(part["content"]) ?? textOf(part["text"]) ?? [];
  });
  return [{ role, content: texts.join("\n") }];
}

/** `<prefix>0.role`, `<prefix>0.content`, … as OpenLLMetry and OpenInference flatten them. */
function indexedMessages(attributes: Attributes, prefix: string, inner: string) {
  const messages: Message[] = [];
  for (let at = 0; at < 1000; at++) {
    const content = attributes[`${prefix}${at}.${inner}content`];
    if (content === undefined) break;
    const role = textOf(attributes[`${prefix}${at}.${inner}role`]) ?? "user";
    messages.push(...toMessage({ role, content: parseContent(content) } as JsonObject));
  }
  return messages.length > 0 ? messages : undefined;
}

function parseContent(content: unknown): unknown {
  const parsed =
    typeof content === "string" && content.startsWith("[") ? parseJson(content) : content;
  return Array.isArray(parsed) ? parsed : content;
}

/** Events per message (`gen_ai.user.message`), or one with the whole prompt. */
function eventMessages(events: TraceSpan["events"]): Message[] | undefined {
  const messages = events.flatMap(({ name, attributes }): Message[] => {
    const role = /^gen_ai\.(user|assistant|system)\.message$/.exec(name)?.[1];
    const content = firstText(attributes["content"], attributes["gen_ai.prompt"]);
    if (role !== undefined && content !== undefined) return [{ role, content }];
    if (name !== "gen_ai.content.prompt") return [];
    return toMessages(attributes["gen_ai.prompt"]) ?? [];
  });
  return messages.length > 0 ? messages : undefined;
}

function parseJson(value: unknown): unknown {
  if (typeof value !== "string") return value;
  if (!/^\s*[[{]/.test(value)) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return undefined; // a prompt that begins with a bracket
  }
}

function firstText(...values: readonly unknown[]): string | undefined {
  return values.find((value): value is string => typeof value === "string" && value !== "");
}

function firstNumber(...values: readonly unknown[]): number | undefined {
  for (const value of values) {
    const number = typeof value === "string" && value !== "" ? Number(value) : value;
    if (typeof number === "number" && Number.isFinite(number)) return number;
  }
  return undefined;
}
