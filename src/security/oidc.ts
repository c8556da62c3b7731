/**
 * Identity tokens of the place that the gateway runs in, by LiteLLM's references: `oidc/github/<aud>`,
 * `oidc/circleci/`, `oidc/circleci_v2/`, `oidc/azure/<aud>`, `oidc/google/<aud>`, `oidc/file/<path>`,
 * `oidc/env/<NAME>`, `oidc/env_path/<NAME>`. Source: https://docs.litellm.ai/docs/oidc
 */
import { GatewayError } from "../domain/errors.ts";
import { isObject } from "../domain/json.ts";
import type { Outbound } from "./outbound.ts";

export interface OidcSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined where there is no such file; may reject as well. */
  readonly readText: (path: string) => Promise<string | undefined>;
  /** For GitHub, whose tokens are asked for. */
  readonly outbound?: Outbound;
  /** A token of a service account's for an audience. */
  readonly googleIdToken?: (audience: string) => Promise<string>;
}

export const isOidcReference = (text: string): boolean => text.startsWith("oidc/");

/** @throws GatewayError config_invalid, saying what is missing; never a piece of a token */
export async function readOidcToken(reference: string, sources: OidcSources): Promise<string> {
  const [, kind = "", rest = ""] = /^oidc\/([^/]+)\/?(.*)$/s.exec(reference) ?? [];
  const variable = (name: string) => {
    const value = sources.env[name];
    if (value) return value;
    throw missing(reference, `the environment variable ${name} is not set`);
  };
  const file = async (path: string) => {
    const text = await sources.readText(path).catch((cause: unknown) => {
      throw missing(reference, `the file ${path} cannot be read`, cause);
    });
    if (text?.trim()) return text.trim();
    throw missing(reference, `the file ${path} does not exist, or is empty`);
  };
  switch (kind) {
    case "env":
      return variable(rest);
    case "env_path":
      return file(variable(rest));
    case "file":
      return file(rest);
    case "circleci":
      return variable("CIRCLE_OIDC_TOKEN");
    case "circleci_v2":
      return variable("CIRCLE_OIDC_TOKEN_V2");
    case "azure":
      return file(variable("AZURE_FEDERATED_TOKEN_FILE"));
    case "github":
      return askGithub(reference, rest, variable, sources.outbound);
    case "google":
      if (sources.googleIdToken) return sources.googleIdToken(rest);
      throw missing(reference, "Google's credentials are not at hand here");
    default:
      throw missing(reference, `there is no identity of "${kind.slice(0, 40)}"`);
  }
}

const limitMs = 10_000;
const answerLimitChars = 64 * 1024;

/** Source: https://docs.github.com/actions/concepts/security/openid-connect */
async function askGithub(
  reference: string,
  audience: string,
  variable: (name: string) => string,
  outbound: Outbound | undefined,
): Promise<string> {
  const url = new URL(variable("ACTIONS_ID_TOKEN_REQUEST_URL"));
  const bearer = variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
  if (!outbound) throw missing(reference, "nothing may be asked over the network here");
  if (audience !== "") url.searchParams.set("audience", audience);
  const response = await outbound.fetch({
    url: url.href,
    method: "GET",
    headers: { authorization: `Bearer ${bearer}`, accept: "application/json" },
    signal: AbortSignal.timeout(limitMs),
    trust: "operator",
  });
  const text = (await response.text()).slice(0, answerLimitChars);
  if (response.ok) {
    const answer: unknown = JSON.parse(text);
    if (isObject(answer) && typeof answer["value"] === "string") return answer["value"];
  }
  throw missing(reference, `GitHub answered ${response.status} and no token`);
}

function missing(reference: string, why: string, cause?: unknown): GatewayError {
  const message = `${reference.slice(0, 100)} cannot be resolved: ${why}`;
  return new GatewayError("config_invalid", message, cause === undefined ? {} : { cause });
}
