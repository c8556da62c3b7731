/**
 * How many tokens a request has: the provider's own count where one of the model's deployments
 * counts in the caller's dialect, else our estimate, which is marked as one.
 */

import type { WideDialect } from "../dialects/dialect.ts";
import type { RequestHeaders } from "../domain/call.ts";
import type { ChatRequest } from "../domain/chat.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import { estimateInputTokens } from "../routing/query-text.ts";
import { unknownModel } from "./select.ts";
import type { Services } from "./services.ts";

export interface TokenCountRequest {
  readonly dialect: WideDialect;
  readonly model: string;
  /** As the caller sent it. */
  readonly body: JsonObject;
  /** The same as a chat request, checked. */
  readonly chat: ChatRequest;
  readonly headers: RequestHeaders;
  readonly signal: AbortSignal;
  /** Who alone may count it: who holds what it goes on from. */
  readonly only?: string;
}

export type TokenCount =
  | { readonly kind: "counted"; readonly reply: JsonObject }
  /** Counted in other words than the caller's. */
  | { readonly kind: "counted"; readonly tokens: number }
  /** `because`: why nobody counted it. */
  | { readonly kind: "estimated"; readonly tokens: number; readonly because: string };

/** Deployments that are asked in turn; a count is not worth more. */
const maxAsked = 2;

/** @throws GatewayError model_not_found, and what a provider says against the request itself. */
export async function countTokens(
  request: TokenCountRequest,
  services: Services,
): Promise<TokenCount> {
  const { dialect, model, chat, signal } = request;
  const resolution = services.table.find(model, "chat");
  if (!resolution) throw unknownModel(model, { dialect: dialect.name }, services.table);
  let because = "no provider of the model counts in this dialect";
  let asked = 0;
  const { only } = request;
  const able = resolution.deployments.filter(({ id }) => only === undefined || id === only);
  for (const deployment of able) {
    if (asked === maxAsked) break;
    try {
      const reply = await ask(request, deployment, services);
      if (typeof reply === "number") return { kind: "counted", tokens: reply };
      if (reply) return { kind: "counted", reply };
    } catch (thrown) {
      const error = toGatewayError(thrown);
      if (signal.aborted || isAboutRequest(error)) throw error;
      because = error.message;
      asked++;
    }
  }
  return { kind: "estimated", tokens: estimateInputTokens(chat), because };
}

const isAboutRequest = ({ code }: GatewayError) =>
  code === "upstream_rejected" || code === "internal" || code === "config_invalid";

function ask(
  { dialect, body, chat, headers, signal }: TokenCountRequest,
  deployment: Deployment,
  { client, config }: Services,
): Promise<JsonObject | number | undefined> {
  const { connectMs } = config.routeiq.timeouts;
  // A client asks before every turn: better an estimate than a long wait.
  const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
  const timed = client.countTokens({
    dialect: dialect.name,
    body,
    chat,
    headers,
    deployment,
    signal: limit,
    connectTimeoutMs: connectMs,
  });
  return timed.catch((thrown: unknown) => {
    if (signal.aborted || !limit.aborted) throw thrown;
    throw new GatewayError("upstream_timeout", "The provider did not count in time.", {
      cause: thrown,
    });
  });
}

const limitMs = 10_000;
