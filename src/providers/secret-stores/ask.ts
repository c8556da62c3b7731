/** A secret store's answer to one question, within limits, and its refusal in words. */
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import { readAnswer } from "../signers/token-request.ts";

const limitMs = 10_000;

export interface Question {
  readonly url: string;
  readonly method?: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Undefined where `isMissing` says that there is no such secret. @throws GatewayError upstream_auth */
export async function askStore(
  store: string,
  { method = "GET", ...question }: Question,
  outbound: Outbound,
  isMissing: (status: number, answer: JsonObject) => boolean,
): Promise<JsonObject | undefined> {
  const signal = AbortSignal.timeout(limitMs);
  const response = await outbound
    .fetch({ ...question, method, signal, trust: "operator" })
    .catch((cause: unknown) => {
      const why = cause instanceof GatewayError ? cause.message : "no answer in time";
      throw new GatewayError("upstream_auth", `${store} could not be reached: ${why}`, { cause });
    });
  const answer = await readAnswer(response);
  if (response.ok) return answer;
  if (isMissing(response.status, answer)) return undefined;
  // An error's own words may name the account; its kind is enough to mend it.
  const kind = String(answer["__type"] ?? statusOf(answer["error"]) ?? "").slice(0, 100);
  throw new GatewayError(
    "upstream_auth",
    `${store} answered ${response.status}${kind === "" ? "" : ` (${kind})`}. See whether the gateway may read its secrets.`,
  );
}

function statusOf(error: unknown): unknown {
  if (typeof error !== "object" || error === null) return undefined;
  return "status" in error ? error.status : "code" in error ? error.code : undefined;
}

/** @throws GatewayError config_invalid naming the first variable that is missing */
export function need(
  env: Readonly<Record<string, string | undefined>>,
  system: string,
  name: string,
): string {
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  throw new GatewayError("config_invalid", `${system} needs the environment variable ${name}.`);
}
