/**
 * Google's access tokens: a service account by a JWT that its own key signs, a person's login (as
 * `gcloud auth application-default login` leaves it) by its refresh token.
 * Source: https://developers.google.com/identity/protocols/oauth2/service-account
 */
import { createSign } from "node:crypto";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { askForToken, type FreshToken, refused, type TokenSourceOptions } from "./tokens.ts";

const scope = "https://www.googleapis.com/auth/cloud-platform";
const defaultTokenUrl = "https://oauth2.googleapis.com/token";
const lifeS = 3600;

/** @param credentials JSON as Google's tools write it, or the path of its file */
export async function fetchGoogleToken(
  credentials: string,
  options: TokenSourceOptions,
  signal: AbortSignal,
): Promise<FreshToken> {
  const account = parse(await read(credentials, options));
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

function signJwt(account: JsonObject, audience: string, nowMs: number): string {
  const issuedAt = Math.floor(nowMs / 1000);
  const keyId = account["private_key_id"];
  const header = { alg: "RS256", typ: "JWT", ...(typeof keyId === "string" ? { kid: keyId } : {}) };
  const claims = {
    iss: textIn(account, "client_email"),
    scope,
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
