/**
 * Short-lived tokens: got once, kept until shortly before they end, renewed while they still serve.
 * Calls that come meanwhile wait for the one request that is under way.
 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { TokenGrant } from "../../domain/model.ts";
import { sha256Hex } from "../../security/hashing.ts";
import { readOidcToken } from "../../security/oidc.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import { type AwsSigner, createAwsSigner } from "./aws.ts";
import { fetchEntraToken } from "./entra.ts";
import { fetchGoogleIdToken, fetchGoogleToken } from "./google.ts";

export interface TokenSource {
  /** @throws GatewayError upstream_auth where it is refused; the signal's reason when it aborts. */
  get(grant: TokenGrant, signal: AbortSignal): Promise<string>;
  /** The service refused it: the next call gets another. */
  forget(grant: TokenGrant): void;
  /** For services that take a signature instead. */
  readonly aws: AwsSigner;
}

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

interface Held {
  readonly token: string;
  readonly renewAtMs: number;
  readonly endsAtMs: number;
}

interface Entry {
  held?: Held;
  pending?: Promise<Held>;
}

/** A token is renewed so long before its end, and not used in its last seconds. */
const renewBeforeMs = 300_000;
const spareMs = 30_000;
/** Of a token's request; no call waits longer for it. */
const limitMs = 15_000;

export function createTokenSource(options: TokenSourceOptions): TokenSource {
  const { clock } = options;
  const entries = new Map<string, Entry>();

  async function renew(grant: TokenGrant, entry: Entry): Promise<Held> {
    const signal = AbortSignal.timeout(limitMs);
    const fresh =
      grant.kind === "google"
        ? await fetchGoogleToken(grant, options, signal)
        : await fetchEntraToken(grant as TokenGrant & { kind: "entra" }, options, signal);
    const now = clock.now();
    const lifeMs = fresh.lifeS * 1000;
    const held = {
      token: fresh.token,
      renewAtMs: now + Math.max(lifeMs / 2, lifeMs - renewBeforeMs),
      endsAtMs: now + lifeMs - spareMs,
    };
    entry.held = held;
    return held;
  }

  function renewOnce(grant: TokenGrant, entry: Entry): Promise<Held> {
    entry.pending ??= renew(grant, entry).finally(() => {
      delete entry.pending;
    });
    return entry.pending;
  }

  return {
    aws: createAwsSigner(options),
    async get(grant, signal) {
      if (grant.kind === "fixed") return grant.token;
      const entry = entries.getOrInsertComputed(keyOf(grant), () => ({}));
      const now = clock.now();
      if (entry.held && now < entry.held.endsAtMs) {
        // The old one serves meanwhile; a failure is the next call's, once the old one has ended.
        if (now >= entry.held.renewAtMs) renewOnce(grant, entry).catch(() => undefined);
        return entry.held.token;
      }
      return (await unless(signal, renewOnce(grant, entry))).token;
    },
    forget(grant) {
      if (grant.kind !== "fixed") entries.delete(keyOf(grant));
    },
  };
}

/** One entry per identity: as many as the configuration names. */
function keyOf(grant: TokenGrant): string {
  return sha256Hex(JSON.stringify(grant));
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

/** An identity token by LiteLLM's reference, got anew each time. @throws GatewayError upstream_auth */
export async function readIdentityToken(
  reference: string,
  { env = {}, readText, outbound, clock }: TokenSourceOptions,
): Promise<string> {
  const googleIdToken = (audience: string) =>
    fetchGoogleIdToken(
      env["GOOGLE_APPLICATION_CREDENTIALS"] ?? "",
      audience,
      { readText, outbound, clock },
      AbortSignal.timeout(limitMs),
    );
  try {
    return await readOidcToken(reference, { env, readText, outbound, googleIdToken });
  } catch (thrown) {
    throw refused(thrown instanceof Error ? thrown.message : String(thrown), thrown);
  }
}
