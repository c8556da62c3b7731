/**
 * Short-lived keys for browsers that speak to the provider itself (WebRTC). What is done with them is
 * not seen here, so only models that lend their key to ways through give any.
 * Source: https://platform.openai.com/docs/api-reference/realtime-sessions
 */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Deployment } from "../../domain/model.ts";
import { unknownModel } from "../../pipeline/select.ts";
import type { Services } from "../../pipeline/services.ts";
import { targetOf } from "../../providers/pass-through.ts";
import { readJsonObject } from "../json-body.ts";
import { answerPassThrough } from "../pass-through.ts";
import type { Route } from "../route.ts";

const names = ["client_secrets", "sessions", "transcription_sessions"] as const;

export const realtimeSecretRoutes: readonly Route[] = names.flatMap((name) =>
  ["/v1", "", "/openai/v1"].map(
    (prefix): Route => ({
      method: "POST",
      path: `${prefix}/realtime/${name}`,
      who: "caller",
      errors: "openai",
      summary:
        "A short-lived key of the provider's for a browser, where the model says `use_in_pass_through`.",
      docs: {
        body: "RealtimeSecretRequest",
        source: "https://platform.openai.com/docs/api-reference/realtime-sessions",
      },
      handle: (request, { services }) => mint(request, `/realtime/${name}`, services),
    }),
  ),
);

/** Where each of the three forms names its model; the first that is there. */
const places: readonly (readonly string[])[] = [
  ["session", "model"],
  ["model"],
  ["session", "audio", "input", "transcription", "model"],
  ["input_audio_transcription", "model"],
];

async function mint(request: Request, rest: string, services: Services): Promise<Response> {
  const body = await readJsonObject(request, services);
  const place = places.find((path) => typeof at(body, path) === "string");
  if (!place) {
    throw new GatewayError("invalid_request", '"session.model" is missing.', {
      param: "session.model",
    });
  }
  const deployment = findLender(String(at(body, place)), services);
  const target = targetOf(deployment);
  if (!target) {
    const message = `${deployment.provider} gives no such keys at this model's address. Give it api_version: v1.`;
    throw new GatewayError("unsupported_capability", message, { param: "session.model" });
  }
  const named = put(body, place, deployment.upstreamModel);
  const { url, method, headers, signal } = request;
  const sent = new Headers(headers);
  sent.delete("content-length");
  const renamed = new Request(url, { method, headers: sent, signal, body: JSON.stringify(named) });
  return answerPassThrough(renamed, { target, rest }, services);
}

/** @throws GatewayError model_not_found, permission_denied */
function findLender(model: string, { table, client }: Services): Deployment {
  const found = table.find(model, "realtime") ?? table.find(model);
  if (!found) throw unknownModel(model, { dialect: "openai-chat" }, table);
  const able = found.deployments.filter((each) => client.serves(each, "realtime"));
  const lender = able.find(({ usedInPassThrough }) => usedInPassThrough);
  if (lender) return lender;
  throw new GatewayError(
    "permission_denied",
    `The model "${excerpt(model)}" lends no key: what a browser does with one is not seen here. Open a session through this gateway (wss://…/v1/realtime), or set use_in_pass_through: true for it.`,
    { param: "session.model" },
  );
}

function at(body: JsonObject, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>(
    (from, key) => (isObject(from) ? from[key] : undefined),
    body,
  );
}

function put(body: JsonObject, [key = "", ...rest]: readonly string[], value: string): JsonObject {
  const inner = body[key];
  return {
    ...body,
    [key]: rest.length > 0 && isObject(inner) ? put(inner, rest, value) : value,
  };
}
