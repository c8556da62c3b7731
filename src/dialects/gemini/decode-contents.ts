/**
 * A Gemini caller's conversation in our form: function responses become messages of their own,
 * inline data and files OpenAI's parts. Parts that OpenAI has no form for travel on as they are.
 */
import type { ChatMessage, ContentPart, ToolCall } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { requireArray, requireObject, requireString, wrongType, wrongValue } from "../read.ts";
import { unwrapBlock, withSignature } from "./signatures.ts";
import { field, objectOr } from "./wire.ts";

/** `systemInstruction`: a content, as one system message. A bare text is taken, too. */
export function decodeSystem(instruction: Json | undefined): ChatMessage[] {
  if (instruction === undefined || instruction === null || instruction === "") return [];
  if (typeof instruction === "string") return [{ role: "system", content: instruction }];
  const { parts } = requireObject(instruction, "systemInstruction");
  const list = isObject(parts) ? [parts] : requireArray(parts, "systemInstruction.parts");
  const texts = list.map((part, i) => {
    const path = `systemInstruction.parts[${i}]`;
    return requireString(requireObject(part, path)["text"], `${path}.text`);
  });
  return texts.length ? [{ role: "system", content: texts.join("\n\n") }] : [];
}

/** Calls without an id are told from their answers by their name and their order. */
interface OpenCall {
  readonly id: string;
  readonly name: string;
}

export function decodeContents(contents: readonly Json[]): ChatMessage[] {
  const open: OpenCall[] = [];
  let made = 0;
  return contents.flatMap((item, i): ChatMessage[] => {
    const path = `contents[${i}]`;
    const content = requireObject(item, path);
    const role = content["role"] ?? "user";
    if (role !== "user" && role !== "model" && role !== "function") {
      throw wrongValue(`${path}.role`, requireString(role, `${path}.role`), ["user", "model"]);
    }
    const sent = content["parts"];
    const list = isObject(sent) ? [sent] : requireArray(sent, `${path}.parts`);
    const parts = list.map((part, j) => requireObject(part, `${path}.parts[${j}]`));
    if (role !== "model") return decodeUser(parts, `${path}.parts`, open);
    const { message, calls } = decodeModel(parts, `${path}.parts`, () => `call_${made++}`);
    open.push(...calls);
    return [message];
  });
}

/** Results first, as OpenAI wants them right after the calls; then what the user said. */
function decodeUser(parts: readonly JsonObject[], path: string, open: OpenCall[]): ChatMessage[] {
  const results: ChatMessage[] = [];
  const said: ContentPart[] = [];
  parts.forEach((part, i) => {
    const response = field(part, "functionResponse");
    if (response === undefined) said.push(...decodePart(part, `${path}[${i}]`));
    else results.push(decodeResponse(response, `${path}[${i}].functionResponse`, open));
  });
  return said.length ? [...results, { role: "user", content: simplify(said) }] : results;
}

function decodeResponse(sent: Json, path: string, open: OpenCall[]): ChatMessage {
  const response = requireObject(sent, path);
  const name = requireString(response["name"], `${path}.name`);
  const told = response["id"];
  const at = open.findIndex((call) => (told ? call.id === told : call.name === name));
  const [found] = at < 0 ? [] : open.splice(at, 1);
  const result = objectOr(response["response"]);
  const error = result["error"];
  const attached = Array.isArray(response["parts"]) ? response["parts"].filter(isObject) : [];
  const text = textOfResult(result);
  const parts = attached.flatMap((part, i) => decodePart(part, `${path}.parts[${i}]`));
  return {
    role: "tool",
    tool_call_id: found?.id ?? (typeof told === "string" && told ? told : `call_${name}`),
    content: parts.length ? [{ type: "text", text }, ...parts] : text,
    ...(error !== undefined && error !== null ? { is_error: true } : {}),
  };
}

/** Google's keys for a result and an error, where there is nothing else; else the whole object. */
function textOfResult(result: JsonObject): string {
  const [[key, value] = [], ...more] = Object.entries(result);
  const isAlone = more.length === 0 && (key === "output" || key === "result" || key === "error");
  if (isAlone) return typeof value === "string" ? value : JSON.stringify(value);
  return JSON.stringify(result);
}

interface DecodedModel {
  readonly message: ChatMessage;
  readonly calls: readonly OpenCall[];
}

function decodeModel(
  parts: readonly JsonObject[],
  path: string,
  newId: () => string,
): DecodedModel {
  const said: ContentPart[] = [];
  const calls: ToolCall[] = [];
  const thinking: JsonObject[] = [];
  let reasoning = "";
  let signature: string | undefined;
  parts.forEach((part, i) => {
    const at = `${path}[${i}]`;
    const call = field(part, "functionCall");
    const signed = field(part, "thoughtSignature");
    const own = typeof signed === "string" ? signed : undefined;
    const block = own === undefined ? undefined : unwrapBlock(own);
    if (block) thinking.push(block);
    if (call !== undefined) {
      calls.push(decodeCall(call, `${at}.functionCall`, newId, block ? undefined : own));
      return;
    }
    if (!block && own !== undefined) signature = own;
    if (part["thought"] === true) reasoning += typeof part["text"] === "string" ? part["text"] : "";
    else said.push(...decodePart(part, at));
  });
  const message: ChatMessage = {
    role: "assistant",
    content: said.length ? simplify(said) : null,
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(thinking.length ? { thinking_blocks: thinking } : {}),
    ...(calls.length ? { tool_calls: calls } : {}),
    ...withSignature(signature),
  };
  return { message, calls: calls.map((call) => ({ id: call.id, name: call.function.name })) };
}

function decodeCall(
  sent: Json,
  path: string,
  newId: () => string,
  signature: string | undefined,
): ToolCall {
  const call = requireObject(sent, path);
  const args = call["args"] ?? {};
  if (!isObject(args)) throw wrongType(`${path}.args`, "an object", args);
  return {
    id: typeof call["id"] === "string" && call["id"] ? call["id"] : newId(),
    type: "function",
    function: {
      name: requireString(call["name"], `${path}.name`),
      arguments: JSON.stringify(args),
    },
    ...withSignature(signature),
  };
}

/** A part that is no call and no response. An empty text (a signature's carrier) gives nothing. */
function decodePart(part: JsonObject, path: string): ContentPart[] {
  const { text } = part;
  if (text !== undefined) {
    const said = requireString(text, `${path}.text`);
    return said === "" ? [] : [{ type: "text", text: said }];
  }
  const inline = field(part, "inlineData");
  if (inline !== undefined)
    return [decodeInline(requireObject(inline, `${path}.inlineData`), path)];
  const file = field(part, "fileData");
  if (file !== undefined) return [decodeFile(requireObject(file, `${path}.fileData`), path)];
  const code = field(part, "executableCode");
  if (isObject(code)) return [fenced(String(code["language"] ?? "").toLowerCase(), code["code"])];
  const result = field(part, "codeExecutionResult");
  if (isObject(result)) return [fenced("", result["output"])];
  if (field(part, "thoughtSignature") !== undefined) return [];
  const kinds = ["text", "inlineData", "fileData", "functionCall", "functionResponse"];
  throw wrongValue(path, Object.keys(part)[0] ?? "", kinds);
}

/** Code that Gemini ran itself, in the history: other models read it as text. */
const fenced = (language: string, code: Json | undefined): ContentPart => ({
  type: "text",
  text: `\`\`\`${language}\n${typeof code === "string" ? code : ""}\n\`\`\``,
});

/** OpenAI's formats of audio, by media type. */
const audioFormats: Readonly<Record<string, string>> = {
  "audio/wav": "wav",
  "audio/x-wav": "wav",
  "audio/wave": "wav",
  "audio/mp3": "mp3",
  "audio/mpeg": "mp3",
};

function decodeInline(inline: JsonObject, path: string): ContentPart {
  const type = requireString(
    field(inline, "mimeType"),
    `${path}.inlineData.mimeType`,
  ).toLowerCase();
  const data = requireString(inline["data"], `${path}.inlineData.data`);
  const url = `data:${type};base64,${toBase64(data)}`;
  if (type.startsWith("image/")) return { type: "image_url", image_url: { url } };
  const format = audioFormats[type];
  if (format) return { type: "input_audio", input_audio: { data: toBase64(data), format } };
  const name = field(inline, "displayName");
  const filename = typeof name === "string" && name ? name : `file.${type.split("/")[1] ?? "bin"}`;
  return { type: "file", file: { filename, file_data: url } };
}

/** Protobuf's JSON takes the URL-safe alphabet, too. */
const toBase64 = (data: string) => data.replaceAll("-", "+").replaceAll("_", "/");

function decodeFile(file: JsonObject, path: string): ContentPart {
  const uri = requireString(field(file, "fileUri"), `${path}.fileData.fileUri`);
  const type = field(file, "mimeType");
  if (typeof type === "string" && type.startsWith("image/") && /^https?:/.test(uri)) {
    return { type: "image_url", image_url: { url: uri } };
  }
  // LiteLLM's form of a file that lies elsewhere.
  const format = typeof type === "string" ? { format: type } : {};
  return { type: "file", file: { file_id: uri, ...format } };
}

/** A single plain text as a string, which every provider takes. */
function simplify(parts: readonly ContentPart[]): string | readonly ContentPart[] {
  const [part] = parts;
  return parts.length === 1 && part?.type === "text" ? (part.text ?? "") : parts;
}
