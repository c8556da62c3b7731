/** Cohere's errors: `{"message": "…"}` with HTTP's status, and two of its own. Source: https://docs.cohere.com/reference/errors */
import type { GatewayError } from "../../domain/errors.ts";
import { messageOf, readErrorBody, retryAfterOf, toProviderError } from "../provider-error.ts";

/** 498: a wrong token; 499: cancelled by Cohere itself. */
const statuses: Readonly<Record<number, number>> = { 498: 401, 499: 503, 501: 400 };

export function decodeError(status: number, body: string, headers: Headers): GatewayError {
  const { json, text } = readErrorBody(body);
  const message = messageOf(json) ?? text;
  const retryAfterS = retryAfterOf(headers);
  const isKey = /invalid api token|no api key/i.test(message);
  return toProviderError({
    status: isKey ? 401 : (statuses[status] ?? status),
    message,
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
}

/** An answer that ended in a failure of Cohere's. @throws GatewayError */
export function assertFinished(reason: string, why: string | null | undefined): void {
  if (reason !== "ERROR" && reason !== "TIMEOUT") return;
  const status = reason === "TIMEOUT" ? 504 : 500;
  throw toProviderError({ status, message: why || "the generation failed", type: reason });
}
