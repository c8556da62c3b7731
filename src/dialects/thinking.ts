/** How much a caller wants a model to think, whichever dialect said it. */
import type { ChatRequest } from "../domain/chat.ts";
import { isObject, type Json } from "../domain/json.ts";
import { toEffort } from "./anthropic/fit.ts";
import { wrongValue } from "./read.ts";

export interface WantedThinking {
  /** "none", "minimal", "low", "medium", "high", "xhigh", "max". */
  readonly effort: string;
  /** Tokens, where they were named. */
  readonly budget?: number;
  /** It was asked for as a parameter, and not as what an Anthropic client sends by itself. */
  readonly asked: boolean;
}

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/** Undefined where nothing was said. @throws GatewayError invalid_request for an unknown effort. */
export function wantedThinking(request: ChatRequest): WantedThinking | undefined {
  const told = request["reasoning_effort"];
  if (told !== undefined && told !== null) {
    if (typeof told !== "string" || !efforts.includes(told)) {
      throw wrongValue("reasoning_effort", String(told), efforts);
    }
    return { effort: told, asked: true };
  }
  const own = isObject(request["anthropic"]) ? request["anthropic"] : {};
  const asked = isObject(request["thinking"]);
  const thinking: Json | undefined = asked ? request["thinking"] : own["thinking"];
  if (!isObject(thinking)) return undefined;
  if (thinking["type"] === "disabled") return { effort: "none", asked };
  const budget = thinking["budget_tokens"];
  const config = isObject(own["output_config"]) ? own["output_config"] : {};
  const effort = typeof config["effort"] === "string" ? config["effort"] : toEffort(Number(budget));
  return { effort, asked, ...(typeof budget === "number" ? { budget } : {}) };
}
