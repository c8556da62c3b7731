/**
 * Access tokens of one authorization server: verified by its published keys, or by asking it
 * (RFC 7662). Its metadata (RFC 8414, OpenID Connect Discovery) says where both are.
 */
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Clock } from "../std/clock.ts";
import { createLru } from "../std/lru.ts";
import { sha256Hex } from "./hashing.ts";
import { assertTimes, findKeys, isSignedBy, looksLikeJwt, readJwt, TokenRefused } from "./jwt.ts";
import type { Outbound } from "./outbound.ts";

export interface IssuerSettings {
  /** As it stands in `iss`. */
  readonly issuer: string;
  readonly jwksUrl?: string;
  /** Where opaque tokens are asked about; with it, every token that is no JWT is. */
  readonly introspectionUrl?: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
}

export interface TokenIssuer {
  readonly settings: IssuerSettings;
  /**
   * The claims of a token that is valid now; its audience is for the caller to judge.
   * @throws TokenRefused; GatewayError, where the issuer cannot be asked
   */
  verify(token: string): Promise<JsonObject>;
  /** What it says of itself. @throws Error */
  metadata(): Promise<JsonObject>;
}

export const issuerLimits = {
  documentBytes: 1024 * 1024,
  timeoutMs: 10_000,
  /** How long keys and metadata are believed. */
  freshMs: 600_000,
  /** A key that is not known is looked for again, at most so often. */
  lookAgainMs: 30_000,
  /** How long an answer about an opaque token is believed, at most. */
  introspectedMs: 60_000,
  introspected: 10_000,
} as const;

export interface IssuerParts {
  readonly outbound: Outbound;
  readonly clock: Clock;
}

export function createTokenIssuer(settings: IssuerSettings, parts: IssuerParts): TokenIssuer {
  const { clock } = parts;
  const metadata = createHeld(clock, () => fetchMetadata(settings.issuer, parts));
  const keys = createHeld(clock, async () => {
    const url = settings.jwksUrl ?? textIn(await metadata.get(), "jwks_uri");
    if (url === undefined) throw new Error(`${settings.issuer} does not say where its keys are`);
    const { keys: found } = await fetchJson(url, settings, parts);
    return Array.isArray(found) ? (found as readonly unknown[]) : [];
  });
  const asked = createLru<string, { readonly claims: JsonObject; readonly untilMs: number }>(
    issuerLimits.introspected,
  );

  async function verifyJwt(token: string): Promise<JsonObject> {
    const jwt = readJwt(token);
    if (jwt.claims["iss"] !== settings.issuer)
      throw new TokenRefused("another issuer made the token");
    assertTimes(jwt.claims, clock.now());
    for (const set of [() => keys.get(), () => keys.renew(issuerLimits.lookAgainMs)]) {
      for (const key of findKeys(await set(), jwt)) {
        if (await isSignedBy(jwt, key)) return jwt.claims;
      }
    }
    throw new TokenRefused("the token's signature is by none of its issuer's keys");
  }

  async function introspect(token: string): Promise<JsonObject> {
    const id = sha256Hex(token);
    const held = asked.get(id);
    if (held && held.untilMs > clock.now()) return held.claims;
    const url = settings.introspectionUrl ?? textIn(await metadata.get(), "introspection_endpoint");
    if (url === undefined) throw new TokenRefused("the token is no JWT");
    const claims = await fetchJson(url, settings, parts, new URLSearchParams({ token }));
    if (claims["active"] !== true) throw new TokenRefused("the token is not active");
    if (claims["iss"] !== undefined && claims["iss"] !== settings.issuer) {
      throw new TokenRefused("another issuer made the token");
    }
    const { exp } = claims;
    if (typeof exp === "number") assertTimes(claims, clock.now());
    const endMs = typeof exp === "number" ? exp * 1000 : Number.POSITIVE_INFINITY;
    asked.set(id, { claims, untilMs: Math.min(endMs, clock.now() + issuerLimits.introspectedMs) });
    return claims;
  }

  const introspects = settings.introspectionUrl !== undefined;
  return {
    settings,
    metadata: () => metadata.get(),
    verify: (token) => (introspects && !looksLikeJwt(token) ? introspect(token) : verifyJwt(token)),
  };
}

interface Held<T> {
  get(): Promise<T>;
  /** Anew, unless that was done within this time. */
  renew(withinMs: number): Promise<T>;
}

/** One that is being fetched is waited for; one that failed is fetched by the next who asks. */
function createHeld<T>(clock: Clock, fetchIt: () => Promise<T>): Held<T> {
  let held: { readonly value: Promise<T>; readonly atMs: number } | undefined;
  const within = (ms: number) => {
    if (held && clock.now() - held.atMs < ms) return held.value;
    const made = { value: fetchIt(), atMs: clock.now() };
    held = made;
    made.value.catch(() => {
      if (held === made) held = undefined;
    });
    return made.value;
  };
  return { get: () => within(issuerLimits.freshMs), renew: within };
}

const textIn = (value: JsonObject, name: string) => {
  const text = value[name];
  return typeof text === "string" ? text : undefined;
};

/** RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect after it. */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    ...(path === "" ? [] : [`${origin}${path}/.well-known/openid-configuration`]),
  ];
}

async function fetchMetadata(issuer: string, parts: IssuerParts): Promise<JsonObject> {
  let failure: unknown;
  for (const url of metadataUrls(issuer)) {
    try {
      const found = await fetchJson(url, { issuer }, parts);
      if (found["issuer"] === issuer) return found;
      failure = new Error(`${url} speaks for another issuer`);
    } catch (thrown) {
      failure ??= thrown;
    }
  }
  throw failure;
}

/** What the issuer's own metadata points to elsewhere gets the strict rule of addresses. */
async function fetchJson(
  url: string,
  { issuer, jwksUrl, introspectionUrl, clientId, clientSecret }: IssuerSettings,
  { outbound }: IssuerParts,
  form?: URLSearchParams,
): Promise<JsonObject> {
  const isWritten = url === jwksUrl || url === introspectionUrl;
  const isOwn = isWritten || new URL(url).origin === new URL(issuer).origin;
  const encoded = `${encodeURIComponent(clientId ?? "")}:${encodeURIComponent(clientSecret ?? "")}`;
  const response = await outbound.fetch({
    url,
    method: form ? "POST" : "GET",
    headers: {
      accept: "application/json",
      ...(form ? { "content-type": "application/x-www-form-urlencoded" } : {}),
      ...(form && clientId !== undefined ? { authorization: `Basic ${btoa(encoded)}` } : {}),
    },
    ...(form ? { body: form.toString() } : {}),
    signal: AbortSignal.timeout(issuerLimits.timeoutMs),
    trust: isOwn ? "operator" : "strict",
  });
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > issuerLimits.documentBytes) throw new Error(`${url} answers too much`);
    pieces.push(piece);
  }
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const value: unknown = JSON.parse(Buffer.concat(pieces).toString("utf8"));
  if (!isObject(value)) throw new Error(`${url} answered no object`);
  return value;
}
