/** Which model answers: the name resolved, the conversation named, the router asked. */
import type { Call } from "../domain/call.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { isChat } from "../providers/provider.ts";
import type { Subject } from "../routing/assignment.ts";
import { firstTurns } from "../routing/query-text.ts";
import type { Ranking, RankRequest } from "../routing/ranking.ts";
import type { Resolution } from "../routing/resolve.ts";
import { narrow } from "./narrow.ts";
import type { CallRecord } from "./record.ts";
import { applyRules, toBalancer } from "./rules.ts";
import type { Services } from "./services.ts";

/** Answers at once where the router does: nearly always. */
export function select(
  call: Call,
  record: CallRecord,
  services: Services,
  group: string = services.config.general.forcedModels?.[call.operation] ?? call.requestedModel,
): Ranking | Promise<Ranking> {
  const request = toRankRequest(call, group, services);
  const ranked = services.router.rank(request);
  const keep = (ranking: Ranking): Ranking => {
    // The receipt tells the decision on what was asked for; a fallback shows among the attempts.
    record.ranking ??= ranking;
    record.rankRequest ??= request;
    return ranking;
  };
  return ranked instanceof Promise ? ranked.then(keep) : keep(ranked);
}

export function toRankRequest(call: Call, group: string, services: Services): RankRequest {
  const { table, client, rules, config, router } = services;
  const found = table.find(group, call.operation);
  if (!found) throw unknownModel(group, call, table);
  if (found.deployments.length === 0) throw meantOtherwise(group, call, table);
  const served = call.operation === "chat" ? found : whereServed(found, call, client);
  const { stream, operation, options, caller } = call;
  const dial = caller.dial ? { ...caller.dial, ...call.dial } : call.dial;
  const ruled =
    rules || options.mock || options.region || options.ownAccess
      ? applyRules(call, served, services)
      : served;
  const { resolution, pinned } = narrow(call, ruled, client);
  const balancer = options.router && toBalancer(options.router, config);
  const user = namedUser(call.body);
  const session = resolution.deployments.length > 1 ? toSession(call, user) : undefined;
  // Assignments, not spreads: each of those costs every call half a microsecond.
  const request: Mutable<RankRequest> = {
    resolution,
    body: call.chat ?? call.body,
    stream,
    chat: isChat(operation),
    caller,
    user,
  };
  if (pinned) request.pinned = pinned;
  if (balancer) request.balancer = balancer;
  if (dial) request.dial = dial;
  if (session) request.session = session;
  if (router.splits) request.subject = toSubject(call, session);
  return request;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Who asks: the end user whom the body names, else the caller's own key. */
function toSubject(call: Call, session: RankRequest["session"]): Subject {
  const { caller, body } = call;
  const metadata = body["metadata"];
  const named = body["user"] ?? (isObject(metadata) ? metadata["user_id"] : undefined);
  const own = caller.id === "master" || caller.id === "anonymous" ? undefined : caller.id;
  return {
    tenant: caller.tenant === "default" ? undefined : caller.tenant,
    user: typeof named === "string" && named !== "" ? named : own,
    session: session?.key,
    request: call.requestId,
    model: call.requestedModel,
  };
}

const userLimit = 256;

/** The end user whom a body names: OpenAI's `user`, Anthropic's `metadata.user_id`. */
function namedUser({ user, metadata }: JsonObject): string | undefined {
  const named = user ?? (isObject(metadata) ? metadata["user_id"] : undefined);
  return typeof named === "string" && named !== "" ? named.slice(0, userLimit) : undefined;
}

/**
 * The caller's own name for the conversation, else a hash of its first turns: of one end user's, for
 * two who say the same to begin with have two conversations.
 */
function toSession(
  { caller, sessionId, body, chat, operation }: Call,
  user: string | undefined,
): RankRequest["session"] {
  if (sessionId !== undefined) return { key: `${caller.id}\n${sessionId}`, explicit: true };
  const turns =
    operation === "chat" || operation === "responses" ? firstTurns(chat ?? body) : undefined;
  if (turns === undefined) return undefined;
  const key = `${caller.id}\n#${Bun.hash(turns).toString(36)}`;
  return { key: user === undefined ? key : `${key}\n${user}`, explicit: false };
}

/** Not every provider has every operation: the others of a group are not asked in vain. */
function whereServed(
  found: Resolution,
  { operation }: Call,
  client: Services["client"],
): Resolution {
  const able = found.deployments.filter((each) => client.serves(each, operation));
  // Where none has it, one of them says so in its own words.
  return able.length > 0 ? { ...found, deployments: able } : found;
}

/** The operator's `model_info.mode` says that the model is for something else. */
function meantOtherwise(group: string, { operation }: Call, table: Services["table"]) {
  const modes = new Set(table.find(group)?.deployments.map((each) => each.operation));
  return new GatewayError(
    "unsupported_capability",
    `The model "${excerpt(group)}" is for ${[...modes].join(" and ")}, not for ${operation}. Ask for another model, or mend model_info.mode.`,
    { param: "model" },
  );
}

/** LiteLLM's words and status, which its clients look for; Anthropic's clients look for a 404. */
export function unknownModel(
  group: string,
  call: Pick<Call, "dialect">,
  table: Services["table"],
): GatewayError {
  const off = table.reasonOff(group);
  if (off !== undefined) {
    return new GatewayError(
      "unsupported_capability",
      `The model "${excerpt(group)}" is configured, but turned off: ${off}. Ask for another model.`,
      { param: "model" },
    );
  }
  return new GatewayError(
    "model_not_found",
    `Invalid model name passed in model=${excerpt(group)}. Call \`/v1/models\` to view available models for your key.`,
    {
      param: "model",
      ...(call.dialect.startsWith("openai-") ? { status: 400 } : { wireType: "not_found_error" }),
    },
  );
}
