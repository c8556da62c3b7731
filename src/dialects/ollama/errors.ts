/** Ollama's errors: `{"error": "…"}`, with HTTP's status or within a stream. Source: https://docs.ollama.com/api/errors */
import type { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { messageOf, readErrorBody, retryAfterOf, toProviderError } from "../provider-error.ts";

export function decodeError(status: number, body: string, headers: Headers): GatewayError {
  const { json, text } = readErrorBody(body);
  const retryAfterS = retryAfterOf(headers);
  return toProviderError({
    status,
    message: messageOf(json) ?? text,
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
}

export function decodeStreamError(body: JsonObject): GatewayError {
  return toProviderError({ status: 500, message: messageOf(body) ?? "" });
}
