/** Images, sound and files of a conversation, for dialects that want the bytes themselves. */
import { excerpt, GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { invalid } from "./read.ts";

export type Media =
  | { readonly kind: "data"; readonly mediaType: string; readonly base64: string }
  /** An http(s) address: what is there is fetched before the request leaves. */
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "s3"; readonly url: string };

/** @throws GatewayError invalid_request */
export function toMedia(url: unknown, param: string): Media {
  if (typeof url !== "string") throw invalid(param, `'${param}' must be a URL.`);
  if (/^https?:\/\//i.test(url)) return { kind: "url", url };
  if (/^s3:\/\//i.test(url)) return { kind: "s3", url };
  const data = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,/i.exec(url);
  if (data) {
    const mediaType = (data[1] ?? "").toLowerCase();
    return { kind: "data", mediaType, base64: url.slice(data[0].length) };
  }
  const message = `'${param}' must be an http(s) URL or a data: URI in base64, not '${excerpt(url.slice(0, 60))}'.`;
  throw invalid(param, message);
}

/** The address in a part's `image_url`: OpenAI's object, or LiteLLM's bare URL. */
export function urlIn(sent: Json | undefined): Json | undefined {
  return isObject(sent) ? sent["url"] : sent;
}

/** The `file` of a part, its bytes or address, and its name. @throws GatewayError invalid_request */
export function toFile(
  file: Json | undefined,
  path: string,
): { readonly media: Media; readonly name: string | undefined; readonly file: JsonObject } {
  if (!isObject(file)) throw invalid(path, `'${path}' must be an object.`);
  const { file_data: data, file_id: id, filename } = file;
  const name = typeof filename === "string" && filename ? filename : undefined;
  if (typeof data === "string") return { media: toMedia(data, `${path}.file_data`), name, file };
  if (typeof id === "string" && /^(https?|s3):\/\//i.test(id)) {
    return { media: toMedia(id, `${path}.file_id`), name, file };
  }
  if (typeof id !== "string")
    throw invalid(path, `'${path}' needs 'file_data', or 'file_id' with an address.`);
  throw new GatewayError(
    "unsupported_capability",
    `'${path}.file_id' names a file that another service keeps. Send the file itself as 'file_data'.`,
    { param: `${path}.file_id` },
  );
}
