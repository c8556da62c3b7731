/** OpenAI's `metadata`: up to 16 pairs of texts that mean nothing to the gateway. */
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";

const limits = { pairs: 16, keyChars: 64, valueChars: 512 } as const;

/** Undefined where there is none. @throws GatewayError invalid_request */
export function readMetadata(value: Json | undefined): JsonObject | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw invalid("must be an object of texts");
  const pairs = Object.entries(value);
  if (pairs.length > limits.pairs) throw invalid(`has more than ${limits.pairs} pairs`);
  for (const [key, text] of pairs) {
    if (key.length > limits.keyChars) throw invalid(`has a key over ${limits.keyChars} characters`);
    if (typeof text !== "string" || text.length > limits.valueChars) {
      throw invalid(`must hold texts of at most ${limits.valueChars} characters`);
    }
  }
  return value;
}

function invalid(problem: string): GatewayError {
  return new GatewayError("invalid_request", `'metadata' ${problem}.`, { param: "metadata" });
}
