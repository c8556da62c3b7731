/** Log probabilities, both ways. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

const encoder = new TextEncoder();
const listOf = (value: Json | undefined): readonly JsonObject[] =>
  Array.isArray(value) ? value.filter(isObject) : [];

/** `logprobsResult` as OpenAI's `logprobs`. */
export function decodeLogprobs(result: JsonObject): JsonObject {
  const top = listOf(result["topCandidates"]);
  const content = listOf(result["chosenCandidates"]).map((chosen, i) => ({
    ...decodeToken(chosen),
    top_logprobs: listOf(top[i]?.["candidates"]).map(decodeToken),
  }));
  return { content, refusal: null };
}

function decodeToken(candidate: JsonObject): JsonObject {
  const token = typeof candidate["token"] === "string" ? candidate["token"] : "";
  const logprob = candidate["logProbability"];
  return {
    token,
    // Protobuf leaves a zero out: the model was certain.
    logprob: typeof logprob === "number" ? logprob : 0,
    bytes: [...encoder.encode(token)],
  };
}

/** OpenAI's `logprobs` as `logprobsResult`. */
export function encodeLogprobs(logprobs: Json | undefined): JsonObject {
  const content = isObject(logprobs) ? listOf(logprobs["content"]) : [];
  if (content.length === 0) return {};
  const top = content.map((token) => ({
    candidates: listOf(token["top_logprobs"]).map(encodeToken),
  }));
  return {
    logprobsResult: {
      chosenCandidates: content.map(encodeToken),
      ...(top.some(({ candidates }) => candidates.length > 0) ? { topCandidates: top } : {}),
    },
  };
}

const encodeToken = (token: JsonObject): JsonObject => ({
  token: token["token"],
  logProbability: token["logprob"],
});
