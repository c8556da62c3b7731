/**
 * A call of a tool as a request of the API that it stands for.
 * Source: https://spec.openapis.org/oas/v3.1.1.html#style-values
 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { formType, isJsonType, type Operation, type Parameter } from "./read-document.ts";
import { argumentOf, bodyArgument } from "./to-tool.ts";

export interface ApiRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Fields that are the connection's or the operator's, whatever a document says. */
const ownHeaders =
  /^(host|connection|content-length|transfer-encoding|upgrade|te|trailer|expect|keep-alive|authorization|cookie|forwarded|x-forwarded-.*|proxy-.*|sec-.*)$/i;

/** `base` ends without a slash. @throws GatewayError invalid_request, naming the argument */
export function toApiRequest(operation: Operation, base: string, args: JsonObject): ApiRequest {
  const { method, parameters, body } = operation;
  const query: string[] = [];
  const cookies: string[] = [];
  const headers: Record<string, string> = { accept: "application/json, text/*;q=0.9, */*;q=0.5" };
  let { path } = operation;
  for (const parameter of parameters) {
    const value = args[argumentOf(parameter, parameters)];
    if (value === undefined || value === null) {
      if (parameter.required) throw wrong(argumentOf(parameter, parameters), "is missing");
      continue;
    }
    const { name, place } = parameter;
    if (place === "path") path = path.replaceAll(`{${name}}`, pathPart(parameter, value));
    else if (place === "query") query.push(...fields(parameter, value));
    else if (place === "cookie") cookies.push(`${encode(name)}=${encode(flat(parameter, value))}`);
    else if (!ownHeaders.test(name)) headers[name.toLowerCase()] = headerText(parameter, value);
  }
  if (cookies.length > 0) headers["cookie"] = cookies.join("; ");
  const sent = body && args[bodyArgument];
  if (body?.required && sent === undefined) throw wrong(bodyArgument, "is missing");
  if (body && sent !== undefined) headers["content-type"] = body.mediaType;
  const url = `${base}${path}${query.length > 0 ? `?${query.join("&")}` : ""}`;
  const text = body && sent !== undefined ? bodyText(body.mediaType, sent) : undefined;
  return { url, method, headers, ...(text === undefined ? {} : { body: text }) };
}

const wrong = (name: string, why: string) =>
  new GatewayError("invalid_request", `The argument '${name}' ${why}.`, { param: name });

const encode = (text: string) => encodeURIComponent(text);

/** `..` would climb out of the operation's path: no part of it may be one. */
function pathPart(parameter: Parameter, value: Json): string {
  const text = flat(parameter, value);
  if (text === "" || text === "." || text === "..") {
    throw wrong(parameter.name, "cannot stand in a path");
  }
  return encode(text);
}

function headerText(parameter: Parameter, value: Json): string {
  const text = flat(parameter, value);
  if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) throw wrong(parameter.name, "cannot stand in a header");
  return text;
}

/** One text: items with commas between them, an object as its keys and values. */
function flat({ isJson }: Parameter, value: Json): string {
  if (isJson) return JSON.stringify(value);
  if (Array.isArray(value)) return value.map(plain).join(",");
  if (isObject(value))
    return Object.entries(value)
      .flatMap(([key, of]) => [key, plain(of)])
      .join(",");
  return plain(value);
}

const plain = (value: Json | undefined): string =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");

const between: Readonly<Record<string, string>> = { spaceDelimited: "%20", pipeDelimited: "%7C" };

function fields(parameter: Parameter, value: Json): string[] {
  const { name, explode, style, isJson } = parameter;
  const field = (key: string, of: Json | undefined) => `${encode(key)}=${encode(plain(of))}`;
  if (!isJson && Array.isArray(value)) {
    if (explode) return value.map((item: Json) => field(name, item));
    const items = value.map((item: Json) => encode(plain(item)));
    return [`${encode(name)}=${items.join(between[style] ?? ",")}`];
  }
  if (!isJson && isObject(value)) {
    const entries = Object.entries(value);
    if (style === "deepObject") return entries.map(([key, of]) => field(`${name}[${key}]`, of));
    if (explode) return entries.map(([key, of]) => field(key, of));
  }
  return [`${encode(name)}=${encode(flat(parameter, value))}`];
}

function bodyText(mediaType: string, value: Json): string {
  if (isJsonType(mediaType)) return JSON.stringify(value);
  if (mediaType.startsWith(formType)) {
    if (!isObject(value)) throw wrong(bodyArgument, "must be an object, whose keys are the form's");
    const form = new URLSearchParams();
    for (const [key, of] of Object.entries(value)) {
      for (const item of Array.isArray(of) ? of : [of]) form.append(key, plain(item));
    }
    return form.toString();
  }
  if (typeof value === "string") return value;
  throw wrong(bodyArgument, `must be a text, as it is sent as ${mediaType}`);
}
