/** A chat endpoint as labelling asks it: a gateway of ours, or anything that speaks OpenAI's chat. */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import { ownTrafficPrefix } from "../events/event-label.ts";
import type { ChatMessage } from "./judge-prompt.ts";

export interface EndpointOptions {
  /** With or without `/v1`. */
  readonly url: string;
  readonly key: string | undefined;
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Price {
  readonly inputUsdPerToken: number;
  readonly outputUsdPerToken: number;
}

export interface Asked {
  readonly text: string;
  /** As the gateway says it; missing where nobody does. */
  readonly costUsd?: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly latencyMs: number;
}

export interface ChatEndpoint {
  /** @throws GatewayError after three attempts, or at once where another is no use */
  ask(model: string, messages: readonly ChatMessage[], maxTokens: number): Promise<Asked>;
  /** By model and by group, where the endpoint is a gateway; empty elsewhere. */
  prices(): Promise<ReadonlyMap<string, Price>>;
}

const attempts = 3;
const answerLimitMs = 180_000;
const firstWaitMs = 500;

export function createEndpoint(options: EndpointOptions): ChatEndpoint {
  const { key, outbound, clock, signal } = options;
  const base = options.url.replace(/\/+$/, "").replace(/\/v1$/, "");
  const auth: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};

  async function send(method: string, path: string, body?: Json): Promise<Response> {
    return await outbound.fetch({
      url: `${base}${path}`,
      method,
      headers: {
        ...auth,
        "content-type": "application/json",
        "x-request-id": `${ownTrafficPrefix}${crypto.randomUUID()}`,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerLimitMs)]),
      trust: "operator",
    });
  }

  async function askOnce(body: Json): Promise<Asked> {
    const startUs = clock.monotonicUs();
    const response = await send("POST", "/v1/chat/completions", body);
    const text = await response.text();
    if (!response.ok) throw refusal(response.status, text, base);
    const latencyMs = (clock.monotonicUs() - startUs) / 1000;
    return { ...readReply(text, base), ...costOf(response), latencyMs };
  }

  return {
    async ask(model, messages, maxTokens) {
      const body = {
        model,
        messages: messages.map((message) => ({ ...message })),
        max_tokens: maxTokens,
        temperature: 0,
        stream: false,
      };
      for (let attempt = 1; ; attempt++) {
        try {
          return await askOnce(body);
        } catch (error) {
          const helps = error instanceof GatewayError && error.row.retry !== "never";
          if (signal.aborted || !helps || attempt === attempts) throw error;
          await sleep(clock, firstWaitMs * 4 ** (attempt - 1), signal);
        }
      }
    },
    async prices() {
      const response = await send("GET", "/model/info").catch(() => undefined);
      if (!response?.ok) return new Map();
      return readPrices(await response.text());
    },
  };
}

function refusal(status: number, text: string, base: string): GatewayError {
  const said = `${base} answered ${status}: ${excerpt(text)}`;
  if (status === 401 || status === 403) {
    return new GatewayError("invalid_api_key", `${said}. Set ROUTEIQ_API_KEY to its key.`);
  }
  if (status === 429) return new GatewayError("rate_limited", said);
  return new GatewayError(status >= 500 ? "upstream_failed" : "invalid_request", said);
}

function readReply(text: string, base: string): Omit<Asked, "latencyMs" | "costUsd"> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new GatewayError("upstream_invalid", `${base} answered no JSON`, { cause });
  }
  const choices = isObject(body) ? body["choices"] : undefined;
  const [choice] = Array.isArray(choices) ? choices : [];
  const message = isObject(choice) ? choice["message"] : undefined;
  if (!isObject(message)) {
    throw new GatewayError("upstream_invalid", `${base} answered without a message`);
  }
  const calls = message["tool_calls"];
  const content = message["content"];
  const usage = isObject(body) && isObject(body["usage"]) ? body["usage"] : {};
  const [input, output] = [usage["prompt_tokens"], usage["completion_tokens"]];
  return {
    text:
      typeof content === "string" && content !== "" ? content : calls ? JSON.stringify(calls) : "",
    ...(typeof input === "number" ? { inputTokens: input } : {}),
    ...(typeof output === "number" ? { outputTokens: output } : {}),
  };
}

function costOf({ headers }: Response): Pick<Asked, "costUsd"> {
  const told = headers.get("x-routeiq-cost-usd") ?? headers.get("x-litellm-response-cost");
  const cost = told === null || told.trim() === "" ? Number.NaN : Number(told);
  return Number.isFinite(cost) ? { costUsd: cost } : {};
}

function readPrices(text: string): ReadonlyMap<string, Price> {
  const prices = new Map<string, Price>();
  const body: unknown = JSON.parse(text);
  const rows = isObject(body) && Array.isArray(body["data"]) ? body["data"] : [];
  for (const row of rows) {
    if (!isObject(row) || !isObject(row["model_info"])) continue;
    const input = row["model_info"]["input_cost_per_token"];
    const output = row["model_info"]["output_cost_per_token"];
    if (typeof input !== "number" || typeof output !== "number") continue;
    const price = { inputUsdPerToken: input, outputUsdPerToken: output };
    const params = row["litellm_params"];
    for (const name of [row["model_name"], isObject(params) ? params["model"] : undefined]) {
      if (typeof name === "string" && !prices.has(name)) prices.set(name, price);
    }
  }
  return prices;
}
