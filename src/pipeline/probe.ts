/**
 * Whether a deployment answers: the smallest call of its kind. What would cost a picture or a voice is
 * asked for its list of models instead: the address and the key are tried all the same.
 */
import type { Call } from "../domain/call.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment, Operation } from "../domain/model.ts";
import { headersFor } from "../providers/provider.ts";
import { findProvider } from "../providers/registry.ts";
import { Cancel } from "../std/cancel.ts";
import type { ProbeResult } from "./health-records.ts";
import { openAt } from "./realtime/session.ts";
import type { Services } from "./services.ts";

const atOnce = 8;
const defaultTimeoutS = 60;

/** Every deployment once, a few at a time. Never throws. */
export async function probeAll(
  deployments: readonly Deployment[],
  services: Services,
  signal: AbortSignal,
): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = [];
  const waiting = [...deployments];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      results.push(await probe(next, services, signal));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, waiting.length) }, work));
  const order = new Map(deployments.map(({ id }, i) => [id, i]));
  const placeOf = ({ deployment }: ProbeResult) => order.get(deployment.id) ?? 0;
  return results.sort((a, b) => placeOf(a) - placeOf(b));
}

async function probe(
  deployment: Deployment,
  services: Services,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const { clock } = services;
  const startedAtMs = clock.now();
  const told = deployment.info?.["health_check_timeout"];
  const timeoutS = typeof told === "number" && told > 0 ? told : defaultTimeoutS;
  const cancel = new Cancel();
  const message = `It did not answer within ${timeoutS} s.`;
  const stopTimer = clock.after(timeoutS * 1000, () =>
    cancel.cancel(new GatewayError("upstream_timeout", message)),
  );
  const gone = () => cancel.cancel(new GatewayError("caller_gone", "Nobody waits any more."));
  signal.addEventListener("abort", gone, { once: true });
  try {
    await ask(deployment, services, cancel);
    return { deployment, durationMs: clock.now() - startedAtMs };
  } catch (thrown) {
    return { deployment, durationMs: clock.now() - startedAtMs, error: toGatewayError(thrown) };
  } finally {
    stopTimer();
    signal.removeEventListener("abort", gone);
  }
}

async function ask(deployment: Deployment, services: Services, cancel: Cancel): Promise<void> {
  const { signal } = cancel;
  const named = deployment.info?.["health_check_model"];
  const model =
    typeof named === "string" ? named.replace(/^[^/]+\//, "") : deployment.upstreamModel;
  if (deployment.operation === "realtime") return askForSession(deployment, services, signal);
  const body = bodies[deployment.operation];
  if (!body || model.includes("*")) return askForModels(deployment, services, signal);
  const call = toCall(deployment.operation, { model, ...body }, services, signal);
  await services.client.send({
    call,
    callerDialect: services.getDialect(call.dialect),
    // As it is, but for a model that stands in for a wildcard.
    deployment:
      model === deployment.upstreamModel ? deployment : { ...deployment, upstreamModel: model },
    cancel,
    connectTimeoutMs: services.config.routeiq.timeouts.connectMs,
  });
}

/** A session is opened and closed again: it costs nothing before something is said in it. */
async function askForSession(
  deployment: Deployment,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { connectMs } = services.config.routeiq.timeouts;
  const how = { deployment, signal, connectTimeoutMs: connectMs, headers: {}, intent: undefined };
  const { connection } = await openAt(how, services);
  connection.close(1000);
}

/** Some models refuse to be asked for fewer tokens. */
const fewTokens = 16;

const bodies: Readonly<Partial<Record<Operation, JsonObject>>> = {
  chat: { messages: [{ role: "user", content: "hi" }], max_tokens: fewTokens },
  completion: { prompt: "hi", max_tokens: fewTokens },
  embedding: { input: "hi" },
  moderation: { input: "hi" },
  rerank: { query: "hi", documents: ["hi"] },
};

async function askForModels(
  deployment: Deployment,
  { client, config }: Services,
  signal: AbortSignal,
): Promise<void> {
  const provider = findProvider(deployment.provider);
  if (!provider) return;
  if (provider.locate) {
    throw new GatewayError(
      "unsupported_capability",
      `A wildcard row of ${provider.name} has no list of models to ask for. Name one: model_info.health_check_model.`,
      { param: "model" },
    );
  }
  const models = provider.dialect.name === "anthropic" ? "/v1/models" : "/models";
  const response = await client.pass({
    url: `${deployment.apiBase}${models}`,
    method: "GET",
    headers: { ...headersFor(provider, deployment.apiKey), ...deployment.headers },
    deployment,
    signal,
    connectTimeoutMs: config.routeiq.timeouts.connectMs,
  });
  const text = (await response.text()).slice(0, 10_000);
  if (!response.ok) throw provider.dialect.decodeError(response.status, text, response.headers);
}

function toCall(
  operation: Operation,
  body: JsonObject,
  { clock }: Services,
  signal: AbortSignal,
): Call {
  const id = Bun.randomUUIDv7();
  return {
    id,
    requestId: id,
    operation,
    dialect: operation === "completion" ? "openai-completions" : "openai-chat",
    caller: { id: "health", tenant: "default", admin: true },
    requestedModel: String(body["model"]),
    stream: false,
    text: JSON.stringify(body),
    body,
    headers: new Headers(),
    signal,
    startedAtMs: clock.now(),
    startedUs: clock.monotonicUs(),
    options: {},
  };
}
