/**
 * A Responses caller's input as our conversation. Items of one turn of the model (reasoning, text,
 * calls) stand side by side there and become one message here.
 */
import type { ChatMessage, ContentPart, ToolCall } from "../../domain/chat.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import {
  invalid,
  missing,
  requireArray,
  requireObject,
  requireString,
  wrongType,
  wrongValue,
} from "../read.ts";
import { toldSummary, unpackSummary, unpackThinking } from "./reasoning.ts";
import { toCustomArguments } from "./tools.ts";
import { listOf, present, textOf } from "./wire.ts";

/** @throws GatewayError invalid_request, unsupported_capability */
/** @param name the parameter that holds it */
export function decodeInput(input: Json | undefined, name = "input"): ChatMessage[] {
  if (input === undefined) throw missing(name);
  if (typeof input === "string") return [{ role: "user", content: input }];
  if (!Array.isArray(input)) throw wrongType(name, "a string or an array of items", input);
  const messages: ChatMessage[] = [];
  let turn: Turn | undefined;
  const close = () => {
    if (turn) messages.push(toMessage(turn));
    turn = undefined;
  };
  input.forEach((sent: Json, i) => {
    const path = `${name}[${i}]`;
    const item = requireObject(sent, path);
    if (addToTurn(item, path, () => (turn ??= newTurn()))) return;
    const message = decodeItem(item, path);
    if (!message) return;
    close();
    messages.push(message);
  });
  close();
  return messages;
}

/** What the model did between two messages of others. */
interface Turn {
  readonly parts: ContentPart[];
  readonly thinking: JsonObject[];
  readonly calls: ToolCall[];
  reasoning: string;
}

const newTurn = (): Turn => ({ parts: [], thinking: [], calls: [], reasoning: "" });

/** True where the item is the model's own. */
function addToTurn(item: JsonObject, path: string, turn: () => Turn): boolean {
  const { type } = item;
  if (type === "reasoning") {
    turn().thinking.push(...unpackThinking(item["encrypted_content"]));
    turn().reasoning += summaryOf(item);
  } else if (type === "function_call") {
    turn().calls.push(toCall(item, path, requireString(item["arguments"], `${path}.arguments`)));
  } else if (type === "custom_tool_call") {
    const written = requireString(item["input"], `${path}.input`);
    turn().calls.push(toCall(item, path, toCustomArguments(written)));
  } else if (item["role"] === "assistant") {
    turn().parts.push(...decodeContent(item["content"], `${path}.content`));
  } else return false;
  return true;
}

function toCall(item: JsonObject, path: string, args: string): ToolCall {
  return {
    id: requireString(item["call_id"], `${path}.call_id`),
    type: "function",
    function: { name: requireString(item["name"], `${path}.name`), arguments: args },
  };
}

function summaryOf(item: JsonObject): string {
  const parts = listOf(item["content"]).length > 0 ? item["content"] : item["summary"];
  return listOf(parts)
    .map((part) => (isObject(part) ? textOf(part["text"]) : ""))
    .join("\n\n");
}

function toMessage({ parts, thinking, calls, reasoning }: Turn): ChatMessage {
  const refusals = parts.filter(({ type }) => type === "refusal");
  const said = parts.filter(({ type }) => type !== "refusal");
  return {
    role: "assistant",
    content: said.length > 0 ? simplify(said) : null,
    ...(refusals.length > 0
      ? { refusal: refusals.map((part) => textOf(part["refusal"])).join("\n") }
      : {}),
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(thinking.length > 0 ? { thinking_blocks: thinking } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

const roles = ["user", "assistant", "system", "developer"];

/** None for what OpenAI's own tools left in the history: the text after it holds the answer. */
function decodeItem(item: JsonObject, path: string): ChatMessage | undefined {
  const type = item["type"] ?? "message";
  if (type === "message") {
    const role = requireString(item["role"], `${path}.role`);
    if (role !== "user" && role !== "system" && role !== "developer") {
      throw wrongValue(`${path}.role`, role, roles);
    }
    return { role, content: simplify(decodeContent(item["content"], `${path}.content`)) };
  }
  if (type === "function_call_output" || type === "custom_tool_call_output") {
    return decodeOutput(item, path);
  }
  if (typeof type !== "string") throw wrongType(`${path}.type`, "a string", type);
  const summary = type === "compaction" ? unpackSummary(item) : undefined;
  if (summary !== undefined) return { role: "user", content: toldSummary(summary) };
  if (leftovers.has(type)) return undefined;
  throw new GatewayError(
    "unsupported_capability",
    `'${path}' is an item of type '${excerpt(type)}', which only OpenAI's own models read, and this model is served elsewhere. Leave it out, or ask for a model of OpenAI's.`,
    { param: path },
  );
}

const leftovers: ReadonlySet<string> = new Set([
  ...["web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"],
  ...["mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response"],
]);

function decodeOutput(item: JsonObject, path: string): ChatMessage {
  const { output } = item;
  if (output === undefined) throw missing(`${path}.output`);
  const content =
    typeof output === "string"
      ? output
      : simplify(
          requireArray(output, `${path}.output`).map((part, i) =>
            decodePart(part, `${path}.output[${i}]`),
          ),
        );
  const id = requireString(item["call_id"], `${path}.call_id`);
  return { role: "tool", tool_call_id: id, content };
}

function decodeContent(content: Json | undefined, path: string): ContentPart[] {
  if (content === undefined) throw missing(path);
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) throw wrongType(path, "a string or an array of parts", content);
  return content.map((part: Json, i) => decodePart(part, `${path}[${i}]`));
}

function decodePart(sent: Json, path: string): ContentPart {
  const part = requireObject(sent, path);
  const type = requireString(part["type"], `${path}.type`);
  switch (type) {
    case "input_text":
    case "output_text":
    case "text":
    case "summary_text":
    case "reasoning_text":
      return { type: "text", text: requireString(part["text"], `${path}.text`) };
    case "refusal":
      return { type, refusal: requireString(part["refusal"], `${path}.refusal`) };
    case "input_image":
      return decodeImage(part, path);
    case "input_file":
      return decodeFile(part, path);
    case "input_audio":
      return { type, input_audio: requireObject(part["input_audio"], `${path}.input_audio`) };
    default:
      throw wrongValue(`${path}.type`, type, partTypes);
  }
}

const partTypes = ["input_text", "input_image", "input_file", "input_audio", "output_text"];

function decodeImage(part: JsonObject, path: string): ContentPart {
  const { image_url: url, detail, file_id: fileId } = part;
  if (typeof fileId === "string" && (url === undefined || url === null)) {
    throw stored(`${path}.file_id`);
  }
  const image = { url: requireString(url ?? undefined, `${path}.image_url`) };
  // "auto" is what every provider does unasked; some do not know the field.
  const wanted = typeof detail === "string" && detail !== "auto" ? { detail } : {};
  return { type: "image_url", image_url: { ...image, ...wanted } };
}

function decodeFile(part: JsonObject, path: string): ContentPart {
  const { file_data: sent, filename, file_url: url, file_id: fileId } = part;
  if (typeof sent === "string") {
    return { type: "file", file: present({ filename: filename ?? "file", file_data: sent }) };
  }
  // LiteLLM's form of a document at an address, which the providers that read those know.
  if (typeof url === "string") return { type: "file", file: { file_id: url } };
  if (typeof fileId === "string") throw stored(`${path}.file_id`);
  throw invalid(path, `'${path}' needs 'file_data' or 'file_url'.`);
}

function stored(param: string): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `'${param}' names a file stored at OpenAI, which this model's provider cannot read. Send its content instead.`,
    { param },
  );
}

/** Plain text as a string, which every provider takes. */
function simplify(parts: readonly ContentPart[]): string | readonly ContentPart[] {
  const [part] = parts;
  return parts.length === 1 && part?.type === "text" ? (part.text ?? "") : parts;
}
