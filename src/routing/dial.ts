/** The dial as callers and operators write it: a trade-off in [0, 1], or a floor `0.95@model`. */
import type { RequestHeaders } from "../domain/call.ts";
import type { Dial, Floor } from "../domain/decision.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";

export const defaultTradeoff = 0.5;

/** @throws GatewayError invalid_request for anything but a number in [0, 1]. */
export function parseTradeoff(text: string, where: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= 0 && value <= 1) return value;
  throw new GatewayError(
    "invalid_request",
    `${where}: "${excerpt(text)}" is not a number from 0 (cheapest) to 1 (best quality).`,
    { param: where },
  );
}

/**
 * `0.95@gpt-4o`, or `0.95@gpt-4o;violations=0.05`.
 * @throws GatewayError invalid_request for anything else, with shares in (0, 1] and rates in (0, 1)
 */
export function parseFloor(text: string, where: string): Floor {
  const [main = "", ...more] = text.split(";");
  const at = main.indexOf("@");
  const share = at > 0 ? Number(main.slice(0, at)) : Number.NaN;
  const model = main.slice(at + 1).trim();
  const rate = more.length === 1 ? /^\s*violations\s*=\s*([\d.]+)\s*$/.exec(more[0] ?? "") : null;
  const violations = rate ? Number(rate[1]) : Number.NaN;
  const good = share > 0 && share <= 1 && model !== "";
  if (good && more.length === 0) return { share, model };
  if (good && violations > 0 && violations < 1) return { share, model, violations };
  throw new GatewayError(
    "invalid_request",
    `${where}: "${excerpt(text)}" is not of the form <share>@<model>, such as 0.95@gpt-4o, or ` +
      "<share>@<model>;violations=<rate>, such as 0.95@gpt-4o;violations=0.05.",
    { param: where },
  );
}

/** @throws GatewayError invalid_request for anything but a number of at least 0 and at most 100. */
export function parseLatencyWeight(text: string, where: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= 0 && value <= mostLatencyWeight) return value;
  throw new GatewayError(
    "invalid_request",
    `${where}: "${excerpt(text)}" is not a number from 0 (latency does not matter) to ${mostLatencyWeight}.`,
    { param: where },
  );
}

export const mostLatencyWeight = 100;

/** `routing_strategy_args.floor`. */
export function parseFloorSetting(text: string): Floor {
  return parseFloor(text, "router_settings.routing_strategy_args.floor");
}

/**
 * `x-routeiq-tradeoff`, `x-routeiq-floor`, `x-routeiq-latency-weight`; undefined where none is sent.
 * A floor, wherever it was set, comes before a trade-off.
 */
export function readDial(headers: RequestHeaders): Partial<Dial> | undefined {
  const tradeoff = headers.get("x-routeiq-tradeoff");
  const floor = headers.get("x-routeiq-floor");
  const latency = headers.get("x-routeiq-latency-weight");
  if (tradeoff === null && floor === null && latency === null) return undefined;
  return {
    ...(tradeoff === null ? {} : { tradeoff: parseTradeoff(tradeoff, "x-routeiq-tradeoff") }),
    ...(floor === null ? {} : { floor: parseFloor(floor, "x-routeiq-floor") }),
    ...(latency === null
      ? {}
      : { latencyWeight: parseLatencyWeight(latency, "x-routeiq-latency-weight") }),
  };
}
