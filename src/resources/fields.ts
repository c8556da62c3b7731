/** Fields of a request's body, read one by one: the type that is wanted, or an error that names it. */
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";

export function invalid(param: string, problem: string): GatewayError {
  return new GatewayError("invalid_request", `'${param}' ${problem}.`, { param });
}

/** Null and missing are one. @throws GatewayError invalid_request */
export function optionalText(body: JsonObject, name: string, most: number): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" && value.length <= most) return value;
  throw invalid(name, `must be a text of at most ${most} characters`);
}

export function requiredText(body: JsonObject, name: string, most: number): string {
  const value = optionalText(body, name, most);
  if (value !== undefined && value !== "") return value;
  throw invalid(name, "is missing");
}

export function optionalNumber(
  body: JsonObject,
  name: string,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw invalid(name, `must be a number from ${least} to ${most}`);
}

export function optionalWhole(
  body: JsonObject,
  name: string,
  range: { readonly least: number; readonly most: number },
): number | undefined {
  const value = optionalNumber(body, name, range);
  if (value === undefined || Number.isInteger(value)) return value;
  throw invalid(name, "must be a whole number");
}

export function optionalBoolean(body: JsonObject, name: string): boolean | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "boolean") return value;
  throw invalid(name, "must be true or false");
}

export function optionalObject(body: JsonObject, name: string): JsonObject | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (isObject(value)) return value;
  throw invalid(name, "must be an object");
}

export function optionalList(
  body: JsonObject,
  name: string,
  most: number,
): readonly Json[] | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalid(name, "must be a list");
  if (value.length > most) throw invalid(name, `has more than ${most} entries`);
  return value as readonly Json[];
}
