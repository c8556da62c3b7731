/** A running gateway's own API, as commands ask it: its address, the key, and its refusals in words. */
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { createOutbound } from "../security/outbound.ts";
import type { CommandContext, Flag } from "./command.ts";
import { UsageError } from "./parse.ts";

export const urlFlag: Flag = {
  description: "The gateway to ask. Default: ROUTEIQ_URL, else the one on this machine.",
  value: "URL",
};

const answerLimitMs = 60_000;

export interface GatewayQuestion {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: JsonObject;
}

/**
 * @throws GatewayError upstream_unreachable; invalid_api_key, not_found, upstream_failed with what
 *         the gateway said
 */
export async function askGateway(
  { method, path, body }: GatewayQuestion,
  { flags, env, signal }: CommandContext,
): Promise<JsonObject> {
  const url = addressOf(flags["url"], env);
  const key = env["ROUTEIQ_API_KEY"] || env["LITELLM_MASTER_KEY"];
  const response = await createOutbound()
    .fetch({
      url: new URL(path, url).href,
      method,
      headers: {
        ...(key ? { authorization: `Bearer ${key}` } : {}),
        ...(body ? { "content-type": "application/json" } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerLimitMs)]),
      trust: "operator",
    })
    .catch((cause: unknown) => {
      if (!(cause instanceof GatewayError)) throw cause;
      const remedy = `Start it with \`routeiq serve\`, or name it: --url URL (now ${url}).`;
      throw new GatewayError(cause.code, `No gateway answers. ${cause.message} ${remedy}`, {
        cause,
      });
    });
  const text = await response.text();
  const value = parse(text);
  if (response.ok && value) return value;
  throw refusalOf(response.status, value, url);
}

function addressOf(flag: unknown, env: CommandContext["env"]): string {
  const named = typeof flag === "string" ? flag : env["ROUTEIQ_URL"];
  const url = named || `http://127.0.0.1:${env["PORT"] || "4000"}`;
  if (!URL.canParse(url)) throw new UsageError(`--url takes a URL, not "${url}".`);
  return url;
}

function parse(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // not a gateway of ours: the status says it
  }
}

function refusalOf(status: number, value: JsonObject | undefined, url: string): GatewayError {
  const said = messageIn(value) ?? `${url} answered with status ${status}.`;
  if (status === 401 || status === 403) {
    const remedy = "Set ROUTEIQ_API_KEY or LITELLM_MASTER_KEY to the gateway's admin key.";
    return new GatewayError("invalid_api_key", `${said} ${remedy}`);
  }
  return new GatewayError(status === 404 ? "not_found" : "upstream_failed", said);
}

function messageIn(value: JsonObject | undefined): string | undefined {
  for (const name of ["detail", "error"]) {
    const inner = value?.[name];
    if (isObject(inner) && typeof inner["message"] === "string") return inner["message"];
  }
  return undefined;
}
