/** OpenAI's parameters that Anthropic has nothing for: refused by name, unless they are to be dropped. */
import type { ChatRequest } from "../../domain/chat.ts";
import type { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { invalid } from "../read.ts";

/** Each with the values that mean the same as none. */
const unsupported: Readonly<Record<string, readonly Json[]>> = {
  n: [1],
  logprobs: [false],
  top_logprobs: [0],
  logit_bias: [],
  frequency_penalty: [0],
  presence_penalty: [0],
  seed: [],
  audio: [],
  prediction: [],
  functions: [],
  function_call: ["none"],
  verbosity: ["medium"],
  moderation: [],
};

export const unsupportedNames: readonly string[] = Object.keys(unsupported);

/** @throws GatewayError invalid_request, as LiteLLM's UnsupportedParamsError, unless dropped. */
export function refuseUnsupported(
  request: ChatRequest,
  model: string,
  options: EncodeOptions,
): void {
  if (options.dropParams) return;
  for (const [key, neutral] of Object.entries(unsupported)) {
    const value = request[key];
    if (value === undefined || value === null || neutral.includes(value)) continue;
    if (isObject(value) && Object.keys(value).length === 0) continue;
    throw unsupportedParam(key, model);
  }
  const modalities = request["modalities"];
  if (Array.isArray(modalities) && modalities.some((each) => each !== "text")) {
    throw unsupportedParam("modalities", model);
  }
}

export function unsupportedParam(param: string, model: string, why = ""): GatewayError {
  return invalid(
    param,
    `'${param}' is not supported by ${model} at Anthropic${why}. Leave it out, or set \`litellm_settings.drop_params: true\` to have it dropped.`,
  );
}
