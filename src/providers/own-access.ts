/**
 * A caller's own key or address in the operator's place: LiteLLM's
 * `configurable_clientside_auth_params`. A row lets in what it names; nothing is let in unnamed.
 */
import type { CallOptions } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Deployment, OwnAccessRule } from "../domain/model.ts";
import { findProvider } from "./registry.ts";

type OwnAccess = NonNullable<CallOptions["ownAccess"]>;

/** Fields that would send the call, or a key, somewhere that the operator did not choose. */
export const accessFields: readonly string[] = ["api_key", "api_base", "base_url"];

/** @throws GatewayError invalid_request where the body names a destination or a key of its own. */
export function assertNoDestination(body: JsonObject): void {
  for (const field of accessFields) if (body[field] !== undefined) throw refusedField(field);
}

function refusedField(field: string): GatewayError {
  return new GatewayError(
    "invalid_request",
    `"${field}" cannot be set by a request. The gateway's configuration says where calls go (configurable_clientside_auth_params lets callers); leave it out.`,
    { param: field },
  );
}

/** Undefined where the body names neither key nor address. @throws GatewayError invalid_request */
export function readOwnAccess(body: JsonObject): OwnAccess | undefined {
  if (!accessFields.some((field) => body[field] !== undefined)) return undefined;
  const text = (field: string) => {
    const value = body[field] ?? undefined;
    if (value === undefined || (typeof value === "string" && value !== "")) return value;
    throw refusedField(field);
  };
  const apiKey = text("api_key");
  const apiBase = text("api_base") ?? text("base_url");
  return {
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(apiBase === undefined ? {} : { apiBase }),
  };
}

/** `[api_key, api_base]`, `[{api_base: "^https://…"}]` or a map. Undefined where it lets nothing in. */
export function toOwnAccessRule(value: unknown): OwnAccessRule | undefined {
  const items = Array.isArray(value) ? value : [value];
  let key = false;
  let base: OwnAccessRule["base"] = false;
  for (const item of items) {
    if (item === "api_key") key = true;
    if (item === "api_base" || item === "base_url") base = true;
    if (!isObject(item)) continue;
    key ||= item["api_key"] !== undefined;
    const pattern = item["api_base"] ?? item["base_url"];
    if (typeof pattern === "string") base = new RegExp(`^(?:${pattern})$`);
  }
  return key || base !== false ? { key, base } : undefined;
}

/** The rows that let the access in, with it in place. @throws GatewayError where none does */
export function withOwnAccess(
  deployments: readonly Deployment[],
  access: OwnAccess,
): readonly Deployment[] {
  const able = deployments.filter((each) => letsIn(each, access));
  if (able.length > 0) return able.map((each) => replaced(each, access));
  throw refusedField(access.apiBase === undefined ? "api_key" : "api_base");
}

function letsIn({ ownAccess, provider }: Deployment, { apiKey, apiBase }: OwnAccess): boolean {
  if (!ownAccess || (apiKey !== undefined && !ownAccess.key)) return false;
  if (apiBase === undefined) return true;
  // An address that is made of several parts cannot be put in whole.
  if (findProvider(provider)?.locate) return false;
  const { base } = ownAccess;
  return base instanceof RegExp ? base.test(apiBase) : base;
}

/**
 * What is the operator's secret does not go to a caller's address, and a caller's failure says
 * nothing of the row. An address that came by request has the strict rule.
 */
function replaced(row: Deployment, { apiKey, apiBase }: OwnAccess): Deployment {
  const { apiKey: _, token: __, signs: ___, ...open } = row;
  const key = apiKey === undefined ? {} : { apiKey };
  if (apiBase === undefined) return { ...open, ...key, uncounted: true };
  const bare = apiBase.replace(/\/+$/, "");
  const base = findProvider(row.provider)?.toBase?.(bare) ?? bare;
  return { ...open, ...key, apiBase: base, headers: {}, strict: true, uncounted: true };
}
