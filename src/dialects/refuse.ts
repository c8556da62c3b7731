/** Parameters of ours that a provider has nothing for: refused by name, unless they are to be dropped. */
import type { ChatRequest } from "../domain/chat.ts";
import type { GatewayError } from "../domain/errors.ts";
import { isObject, type Json } from "../domain/json.ts";
import type { EncodeOptions } from "./dialect.ts";
import { invalid } from "./read.ts";

/** Each with the values that mean the same as none. */
export type Unsupported = Readonly<Record<string, readonly Json[]>>;

export interface Refusal {
  readonly model: string;
  /** Who has nothing for it: "Bedrock". */
  readonly at: string;
  readonly options: EncodeOptions;
}

/** @throws GatewayError invalid_request, as LiteLLM's UnsupportedParamsError, unless dropped. */
export function refuseParams(request: ChatRequest, table: Unsupported, refusal: Refusal): void {
  if (refusal.options.dropParams) return;
  for (const [key, neutral] of Object.entries(table)) {
    const value = request[key];
    if (value === undefined || value === null || neutral.includes(value)) continue;
    if (isObject(value) && Object.keys(value).length === 0) continue;
    if (Array.isArray(value) && value.length === 0) continue;
    throw unsupportedParam(key, refusal);
  }
}

export function unsupportedParam(
  param: string,
  { model, at }: Omit<Refusal, "options">,
  why = "",
): GatewayError {
  return invalid(
    param,
    `'${param}' is not supported by ${model} at ${at}${why}. Leave it out, or set \`litellm_settings.drop_params: true\` to have it dropped.`,
  );
}

/** The limit of the answer; an Anthropic caller's, who must give one, is cut to this model's. */
export function maxTokensOf(request: ChatRequest, { facts }: EncodeOptions): number | undefined {
  const wanted = request.max_completion_tokens ?? request.max_tokens;
  if (wanted === undefined || wanted === null) return undefined;
  const limit = request["anthropic"] === undefined ? wanted : (facts?.maxOutputTokens ?? wanted);
  return Math.max(1, Math.min(wanted, limit));
}

export function stopsOf({ stop }: ChatRequest): readonly string[] {
  if (typeof stop === "string") return stop === "" ? [] : [stop];
  return Array.isArray(stop) ? stop.filter((each) => each !== "") : [];
}
