/** The dial as callers and operators write it: a trade-off in [0, 1], or a floor `0.95@model`. */
import type { RequestHeaders } from "../domain/call.ts";
import type { Dial } from "../domain/decision.ts";
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

/** @throws GatewayError invalid_request for anything but `share@model` with a share in (0, 1]. */
export function parseFloor(text: string, where: string): NonNullable<Dial["floor"]> {
  const at = text.indexOf("@");
  const share = at > 0 ? Number(text.slice(0, at)) : Number.NaN;
  const model = text.slice(at + 1).trim();
  if (share > 0 && share <= 1 && model !== "") return { share, model };
  throw new GatewayError(
    "invalid_request",
    `${where}: "${excerpt(text)}" is not of the form <share>@<model>, such as 0.95@gpt-4o.`,
    { param: where },
  );
}

/** `routing_strategy_args.floor`. */
export function parseFloorSetting(text: string): NonNullable<Dial["floor"]> {
  return parseFloor(text, "router_settings.routing_strategy_args.floor");
}

/** `x-routeiq-tradeoff` and `x-routeiq-floor`; undefined where neither is sent. */
export function readDial(headers: RequestHeaders): Partial<Dial> | undefined {
  const tradeoff = headers.get("x-routeiq-tradeoff");
  const floor = headers.get("x-routeiq-floor");
  if (tradeoff === null && floor === null) return undefined;
  return {
    ...(tradeoff === null ? {} : { tradeoff: parseTradeoff(tradeoff, "x-routeiq-tradeoff") }),
    ...(floor === null ? {} : { floor: parseFloor(floor, "x-routeiq-floor") }),
  };
}
