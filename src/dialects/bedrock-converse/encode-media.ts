/**
 * Images, documents, video and sound as Converse's blocks.
 * Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
 */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { FetchedMedia } from "../dialect.ts";
import type { Media } from "../media.ts";

type BlockKind = "image" | "document" | "video" | "audio";

/** Media types by the word that Converse has for them. */
const formats: Readonly<Record<string, readonly [BlockKind, string]>> = {
  "image/png": ["image", "png"],
  "image/jpeg": ["image", "jpeg"],
  "image/jpg": ["image", "jpeg"],
  "image/gif": ["image", "gif"],
  "image/webp": ["image", "webp"],
  "application/pdf": ["document", "pdf"],
  "text/csv": ["document", "csv"],
  "application/msword": ["document", "doc"],
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ["document", "docx"],
  "application/vnd.ms-excel": ["document", "xls"],
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ["document", "xlsx"],
  "text/html": ["document", "html"],
  "text/plain": ["document", "txt"],
  "text/markdown": ["document", "md"],
  "video/mp4": ["video", "mp4"],
  "video/quicktime": ["video", "mov"],
  "video/x-matroska": ["video", "mkv"],
  "video/webm": ["video", "webm"],
  "video/x-flv": ["video", "flv"],
  "video/mpeg": ["video", "mpeg"],
  "video/x-ms-wmv": ["video", "wmv"],
  "video/3gpp": ["video", "three_gp"],
  "audio/mpeg": ["audio", "mp3"],
  "audio/mp3": ["audio", "mp3"],
  "audio/wav": ["audio", "wav"],
  "audio/x-wav": ["audio", "wav"],
  "audio/flac": ["audio", "flac"],
  "audio/ogg": ["audio", "ogg"],
  "audio/opus": ["audio", "opus"],
  "audio/aac": ["audio", "aac"],
  "audio/webm": ["audio", "webm"],
};

const byExtension: Readonly<Record<string, readonly [BlockKind, string]>> = {
  ...Object.fromEntries(Object.values(formats).map((format) => [format[1], format])),
  jpg: ["image", "jpeg"],
  "3gp": ["video", "three_gp"],
};

/** The names that documents of one request have, which must differ. */
export type DocumentNames = Set<string>;

/** @throws GatewayError unsupported_capability for a type that Converse has no word for. */
export function encodeMedia(
  media: Media,
  path: string,
  document: { readonly names: DocumentNames; readonly name: string | undefined },
): JsonObject {
  // What an address holds is known once it is fetched: `source.url` marks it for `withMedia`.
  if (media.kind === "url") {
    const found = byExtension[extensionOf(media.url)] ?? ["image", "png"];
    return block(found, { url: media.url }, document);
  }
  if (media.kind === "s3") {
    const found = byExtension[extensionOf(media.url)];
    if (!found) throw unknownType(path, media.url);
    return block(found, { s3Location: { uri: media.url } }, document);
  }
  const found = formats[media.mediaType];
  if (!found) throw unknownType(path, media.mediaType);
  return block(found, { bytes: media.base64 }, document);
}

function block(
  [kind, format]: readonly [BlockKind, string],
  source: JsonObject,
  { names, name }: { readonly names: DocumentNames; readonly name: string | undefined },
): JsonObject {
  const named = kind === "document" ? { name: toName(name, names) } : {};
  return { [kind]: { format, ...named, source } };
}

const extensionOf = (url: string) => /\.(\w{2,4})(?:[?#]|$)/.exec(url)?.[1]?.toLowerCase() ?? "";

/** Converse takes letters, digits, single spaces, hyphens and brackets, and no name twice. */
export function toName(name: string | undefined, names: DocumentNames): string {
  const clean = (name ?? "document")
    .replace(/\.\w{1,5}$/, "")
    .replace(/[^a-zA-Z0-9\s()[\]-]/g, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 180);
  const base = clean || "document";
  let unique = base;
  for (let i = 2; names.has(unique); i++) unique = `${base} ${i}`;
  names.add(unique);
  return unique;
}

function unknownType(path: string, what: string): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `'${path}' is of a type that Bedrock does not read ('${excerpt(what.slice(0, 80))}'). Send PNG, JPEG, GIF or WebP, a PDF, an Office document, text, MP4 or MP3.`,
    { param: path },
  );
}

const kinds: readonly BlockKind[] = ["image", "document", "video", "audio"];

/** Blocks that name an address, with what lay there in its place. */
export function withMedia(
  body: JsonObject,
  take: (url: string) => FetchedMedia | undefined,
): JsonObject {
  const names = new Set<string>();
  const fillAll = (blocks: Json | undefined): Json | undefined =>
    Array.isArray(blocks)
      ? blocks.map((each: Json) => (isObject(each) ? fill(each) : each))
      : blocks;

  function fill(held: JsonObject): JsonObject {
    const { toolResult } = held;
    if (isObject(toolResult)) {
      return { toolResult: { ...toolResult, content: fillAll(toolResult["content"]) } };
    }
    const kind = kinds.find((each) => isObject(held[each]));
    const inner = kind ? held[kind] : undefined;
    const source = isObject(inner) ? inner["source"] : undefined;
    const url = isObject(source) ? source["url"] : undefined;
    const found = typeof url === "string" ? take(url) : undefined;
    if (!found || !isObject(inner)) return held;
    const { mediaType, base64 } = found;
    const told = formats[mediaType] ?? byExtension[extensionOf(String(url))];
    if (!told) throw unknownType("messages", mediaType);
    const name = typeof inner["name"] === "string" ? inner["name"] : nameIn(String(url));
    return block(told, { bytes: base64 }, { names, name });
  }

  const { messages } = body;
  if (!Array.isArray(messages)) return body;
  return {
    ...body,
    messages: messages.map((message: Json) =>
      isObject(message) ? { ...message, content: fillAll(message["content"]) } : message,
    ),
  };
}

/** The last part of an address's path. */
const nameIn = (url: string) => /\/([^/?#]+)(?:[?#]|$)/.exec(url.replace(/^\w+:\/\//, ""))?.[1];
