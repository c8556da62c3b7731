/**
 * Google's access tokens: a service account by a JWT that its own key signs, a person's login (as
 * `gcloud auth application-default login` leaves it) by its refresh token, a machine's own account by
 * the metadata service.
 * Source: https://developers.google.com/identity/protocols/oauth2/service-account
 */
import { createSign } from "node:crypto";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { TokenGrant } from "../../domain/model.ts";
import { instanceHost } from "../../security/ssrf.ts";
import {
  askForToken,
  type FreshToken,
  readToken,
  refused,
  type TokenSourceOptions,
} from "./token-request.ts";

const scope = "https://www.googleapis.com/auth/cloud-platform";
const defaultTokenUrl = "https://oauth2.googleapis.com/token";
const lifeS = 3600;

export async function fetchGoogleToken(
  { credentials, metadataHost }: TokenGrant & { readonly kind: "google" },
  options: TokenSourceOptions,
  signal: AbortSignal,
): Promise<FreshToken> {
  if (metadataHost === undefined)
    return ofAccount(await read(credentials, options), options, signal);
  const text =
    credentials === "" ? undefined : await options.readText(credentials).catch(() => undefined);
  return text === undefined
    ? ofInstance(metadataHost, options, signal)
    : ofAccount(text, options, signal);
}

/**
 * The token of the service account that the machine runs as, on Google's clouds (Compute Engine, GKE
 * with workload identity, Cloud Run). The address is a constant, or the operator's GCE_METADATA_HOST.
 * Source: https://cloud.google.com/compute/docs/access/authenticate-workloads
 */
async function ofInstance(
  host: string,
  { outbound }: TokenSourceOptions,
  signal: AbortSignal,
): Promise<FreshToken> {
  const response = await outbound
    .fetch({
      url: `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`,
      method: "GET",
      headers: { "metadata-flavor": "Google" },
      signal,
      trust: host === instanceHost ? "instance" : "operator",
      connectTimeoutMs: metadataLimitMs,
    })
    .catch((cause: unknown) => {
      throw nowhere(cause instanceof GatewayError ? cause.message : "it did not answer", cause);
    });
  // What answers without it is somebody else's service at the same address.
  if (response.headers.get("metadata-flavor") !== "Google") {
    throw nowhere("what answers there is not Google's metadata service");
  }
  return readToken(response, host);
}

/** It is next door: where it does not answer at once it is not there. */
const metadataLimitMs = 2_000;

function nowhere(why: string, cause?: unknown): GatewayError {
  return refused(
    `there are no credentials of Google's here, and the machine has no service account to ask for (${why}). Set vertex_credentials, or GOOGLE_APPLICATION_CREDENTIALS.`,
    cause,
  );
}

async function ofAccount(
  text: string,
  options: TokenSourceOptions,
  signal: AbortSignal,
): Promise<FreshToken> {
  const account = parse(text);
  const tokenUrl = textIn(account, "token_uri", defaultTokenUrl);
  if (account["type"] === "service_account") {
    const assertion = signJwt(account, tokenUrl, options.clock.now());
    const grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    return askForToken(tokenUrl, { grant_type: grant, assertion }, options.outbound, signal);
  }
  if (account["type"] === "authorized_user") {
    const form = {
      grant_type: "refresh_token",
      client_id: textIn(account, "client_id"),
      client_secret: textIn(account, "client_secret"),
      refresh_token: textIn(account, "refresh_token"),
    };
    return askForToken(tokenUrl, form, options.outbound, signal);
  }
  const type = String(account["type"]).slice(0, 60);
  throw refused(
    `credentials of type "${type}" are not read. Use a service account's key, or a login of \`gcloud auth application-default login\`.`,
  );
}

/** A service account's identity for an audience: what `oidc/google/<audience>` means. */
export async function fetchGoogleIdToken(
  credentials: string,
  audience: string,
  options: TokenSourceOptions,
  signal: AbortSignal,
): Promise<string> {
  const account = parse(await read(credentials, options));
  if (account["type"] !== "service_account") {
    throw refused("an identity for another service takes a service account's key.");
  }
  const tokenUrl = textIn(account, "token_uri", defaultTokenUrl);
  const claims = { target_audience: audience };
  const assertion = signJwt(account, tokenUrl, options.clock.now(), claims);
  const form = { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion };
  return (await askForToken(tokenUrl, form, options.outbound, signal, "id_token")).token;
}

async function read(credentials: string, { readText }: TokenSourceOptions): Promise<string> {
  if (credentials.trimStart().startsWith("{")) return credentials;
  try {
    return await readText(credentials);
  } catch (cause) {
    throw refused(
      "the file of Google's credentials cannot be read. Set vertex_credentials, or GOOGLE_APPLICATION_CREDENTIALS.",
      cause,
    );
  }
}

function parse(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // No cause: the parser's message would hold a piece of a private key.
  }
  throw refused("Google's credentials are not a JSON object.");
}

function textIn(account: JsonObject, name: string, fallback?: string): string {
  const value = account[name] ?? fallback;
  if (typeof value === "string" && value !== "") return value;
  throw refused(`Google's credentials have no "${name}".`);
}

function signJwt(
  account: JsonObject,
  audience: string,
  nowMs: number,
  wanted: Readonly<Record<string, string>> = { scope },
): string {
  const issuedAt = Math.floor(nowMs / 1000);
  const keyId = account["private_key_id"];
  const header = { alg: "RS256", typ: "JWT", ...(typeof keyId === "string" ? { kid: keyId } : {}) };
  const claims = {
    iss: textIn(account, "client_email"),
    ...wanted,
    aud: audience,
    iat: issuedAt,
    exp: issuedAt + lifeS,
  };
  const unsigned = `${encode(header)}.${encode(claims)}`;
  const key = textIn(account, "private_key").replaceAll("\\n", "\n"); // as environments hold it
  try {
    return `${unsigned}.${createSign("RSA-SHA256").update(unsigned).sign(key, "base64url")}`;
  } catch {
    throw refused(
      "the private key in Google's credentials cannot be used: it is no RSA key in PEM.",
    );
  }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
