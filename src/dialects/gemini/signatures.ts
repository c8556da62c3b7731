/**
 * Signatures of thoughts across turns and providers. Gemini's stand on parts, and Gemini 3 refuses
 * a function call of the current turn without one; OpenAI's form has no place for them, so they
 * travel in `extra_content`, as at Google's own OpenAI-compatible endpoint. Anthropic's signed
 * blocks travel through Gemini's form inside a thought's signature, marked as not Gemini's.
 * Source: https://ai.google.dev/gemini-api/docs/thought-signatures
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

/** What Google documents for calls that no Gemini made, or whose signature a client lost. */
export const skipValidator = "skip_thought_signature_validator";

/** The signature beside a tool call or a message, in Google's place or in LiteLLM's. */
export function signatureOf(holder: JsonObject): string | undefined {
  const extra = holder["extra_content"];
  const google = isObject(extra) ? extra["google"] : undefined;
  const fields = holder["provider_specific_fields"];
  const found =
    (isObject(google) ? google["thought_signature"] : undefined) ??
    (isObject(fields) ? fields["thought_signature"] : undefined);
  return typeof found === "string" && found !== "" ? found : undefined;
}

export function withSignature(signature: string | null | undefined): JsonObject {
  return signature ? { extra_content: { google: { thought_signature: signature } } } : {};
}

const marker = "routeiq:";
/** The marker's nine bytes of base64; a multiple of three, so that whatever follows keeps it. */
const markerBase64 = btoa(`${marker}1`);

/** A signed block of another maker as a signature that Gemini's clients carry along. */
export function wrapBlock(block: JsonObject): string {
  return Buffer.from(`${marker}1${JSON.stringify(block)}`).toString("base64");
}

export const isWrapped = (signature: unknown): signature is string =>
  typeof signature === "string" && signature.startsWith(markerBase64);

/** The block again; undefined where it is none of ours or was damaged. */
export function unwrapBlock(signature: string): JsonObject | undefined {
  if (!isWrapped(signature)) return undefined;
  const text = Buffer.from(signature, "base64").toString("utf8").slice(markerLength);
  try {
    const block: unknown = JSON.parse(text);
    return isObject(block) ? block : undefined;
  } catch {
    return undefined; // a client cut it: the thought's text still travels
  }
}

const markerLength = marker.length + 1;

/**
 * A body made fit for the Gemini model that gets it: thoughts that another maker signed go, and
 * the first call of each step of the current turn has a signature, where the model insists on one.
 * The body itself (===) where nothing is to be done.
 */
export function fitSignatures(
  body: JsonObject,
  wantsSigned: (model: string) => boolean,
): JsonObject {
  const { contents } = body;
  if (!Array.isArray(contents)) return body;
  const signs = wantsSigned(String(body["model"]));
  const turn = signs ? startOfTurn(contents) : contents.length;
  const fitted = contents.map((content: Json, i) =>
    isObject(content) && content["role"] === "model" ? fitContent(content, i >= turn) : content,
  );
  return fitted.every((content, i) => content === contents[i])
    ? body
    : { ...body, contents: fitted };
}

/** The last thing a user said: what follows is one turn of calls and their results. */
function startOfTurn(contents: readonly Json[]): number {
  return contents.findLastIndex((content) => {
    if (!isObject(content) || content["role"] === "model") return false;
    const { parts } = content;
    return Array.isArray(parts) && parts.some((part: Json) => isObject(part) && !isResponse(part));
  });
}

const isResponse = (part: JsonObject) =>
  part["functionResponse"] !== undefined || part["function_response"] !== undefined;
const callOf = (part: JsonObject) => part["functionCall"] ?? part["function_call"];
const signOf = (part: JsonObject) => part["thoughtSignature"] ?? part["thought_signature"];

function fitContent(content: JsonObject, signs: boolean): JsonObject {
  const { parts } = content;
  if (!Array.isArray(parts)) return content;
  const kept = parts.filter((part: Json) => !(isObject(part) && isForeignThought(part)));
  const first = kept.findIndex((part: Json) => isObject(part) && callOf(part) !== undefined);
  const call = kept[first];
  const isSigned = isObject(call) && typeof signOf(call) === "string" && !isWrapped(signOf(call));
  const cleaned = kept.map((part: Json, i) => {
    if (!isObject(part)) return part;
    if (i === first && signs && !isSigned) return signed(part);
    return isWrapped(signOf(part)) ? unsigned(part) : part;
  });
  const changed = cleaned.length !== parts.length || cleaned.some((part, i) => part !== parts[i]);
  return changed ? { ...content, parts: cleaned } : content;
}

const isForeignThought = (part: JsonObject) => part["thought"] === true && isWrapped(signOf(part));

function unsigned(part: JsonObject): JsonObject {
  const { thoughtSignature: _, thought_signature: __, ...rest } = part;
  return rest;
}

const signed = (part: JsonObject) => ({ ...unsigned(part), thoughtSignature: skipValidator });

/**
 * Anthropic's clients carry nothing beside a call but its id, so the signature travels in it, after
 * LiteLLM's separator. Every provider but that of the passing bytes sees the short id again.
 */
const separator = "__thought__";

export function signId(id: string, signature: string | undefined): string {
  if (signature === undefined) return id;
  const text = signature.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${id}${separator}${text}`;
}

export function splitId(id: string): { readonly id: string; readonly signature?: string } {
  const at = id.indexOf(separator);
  if (at < 0) return { id };
  const text = id
    .slice(at + separator.length)
    .replaceAll("-", "+")
    .replaceAll("_", "/");
  return { id: id.slice(0, at), signature: text.padEnd(Math.ceil(text.length / 4) * 4, "=") };
}
