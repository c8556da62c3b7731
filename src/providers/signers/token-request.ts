/** A token's request and its answer, as every issuer has them. Source: RFC 6749, sections 4.4 and 5 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";

/** Of a token's request; no call waits longer for it. */
export const tokenLimitMs = 15_000;

export interface TokenSourceOptions {
  readonly outbound: Outbound;
  readonly clock: Clock;
  /** Reads a file of credentials; rejects where there is none. */
  readonly readText: (path: string) => Promise<string>;
  /** Where identities lie (`oidc/env/…`). Missing: an empty one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface FreshToken {
  readonly token: string;
  readonly lifeS: number;
}

export function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  if (signal.aborted) throw signal.reason;
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** A form to a token's address, and the token in its answer. @throws GatewayError upstream_auth */
export async function askForToken(
  url: string,
  form: Readonly<Record<string, string>>,
  outbound: Outbound,
  signal: AbortSignal,
  field: "access_token" | "id_token" = "access_token",
): Promise<FreshToken> {
  const response = await outbound
    .fetch({
      url,
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(form).toString(),
      signal,
      trust: "operator",
    })
    .catch((cause: unknown) => {
      const why = cause instanceof GatewayError ? cause.message : "no answer in time";
      throw refused(`${hostOf(url)} could not be reached: ${why}`, cause);
    });
  return readToken(response, hostOf(url), field);
}

/** @throws GatewayError upstream_auth */
export async function readToken(
  response: Response,
  host: string,
  field: "access_token" | "id_token" = "access_token",
): Promise<FreshToken> {
  const body = await readAnswer(response);
  const token = body[field];
  if (!response.ok || typeof token !== "string" || token === "") {
    const why = body["error_description"] ?? body["error"] ?? "no reason given";
    throw refused(`${host} answered ${response.status}: ${String(why).slice(0, 300)}`);
  }
  const life = Number(body["expires_in"]);
  return { token, lifeS: Number.isFinite(life) && life > 0 ? life : 3600 };
}

const maxAnswerBytes = 1024 * 1024;

/** A JSON object within a limit; an empty one where it is none. */
export async function readAnswer(response: Response): Promise<JsonObject> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > maxAnswerBytes) return {};
    parts.push(part);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"));
    return isObject(body) ? body : {};
  } catch {
    return {}; // said by the status, in the error above
  }
}

const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).host : "the token's address");

/** No token: the credentials are at fault, not the caller. */
export function refused(why: string, cause?: unknown): GatewayError {
  return new GatewayError(
    "upstream_auth",
    `The gateway got no token for the provider: ${why}`,
    cause === undefined ? {} : { cause },
  );
}
