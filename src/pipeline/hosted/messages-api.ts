/**
 * Hosted tools in Anthropic's Messages API: `mcp_servers`, which of their tools are wanted
 * (`mcp_toolset`), and the blocks that earlier turns left of them.
 * Source: https://platform.claude.com/docs/en/agents-and-tools/mcp-connector
 */
import type { Dialect } from "../../dialects/dialect.ts";
import type { ChatMessage, ChatRequest } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { asData } from "./as-data.ts";
import { isHosted } from "./hosted-types.ts";
import { sourceOf, type Toolbox } from "./toolbox.ts";

/** The servers of a request, as entries of `tools` name them elsewhere. */
export function serverEntries(body: JsonObject): readonly JsonObject[] {
  const servers = Array.isArray(body["mcp_servers"]) ? body["mcp_servers"].filter(isObject) : [];
  const sets = listOf(body["tools"]).filter(isToolset);
  return servers.flatMap((server): JsonObject[] => {
    const { name, url, authorization_token: token, tool_configuration: configuration } = server;
    const set = sets.find(({ mcp_server_name: of }) => of === name);
    const chosen = set ? chosenBy(set) : chosenByServer(configuration);
    if (!chosen) return [];
    return [
      {
        type: "mcp",
        server_label: name,
        ...(url === undefined || url === null ? {} : { server_url: url }),
        ...(typeof token === "string" ? { authorization: token } : {}),
        require_approval: "never",
        ...chosen,
      },
    ];
  });
}

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

const isToolset = (tool: Json): tool is JsonObject =>
  isObject(tool) && tool["type"] === "mcp_toolset";

/** The older form: one list in the server's own row. */
function chosenByServer(configuration: Json | undefined): JsonObject | undefined {
  if (!isObject(configuration)) return {};
  const { enabled, allowed_tools: allowed } = configuration;
  if (enabled === false) return undefined;
  return Array.isArray(allowed) ? { allowed_tools: allowed } : {};
}

function chosenBy({ default_config: usual, configs }: JsonObject): JsonObject {
  const each = isObject(configs) ? Object.entries(configs) : [];
  const isOn = (config: Json | undefined, otherwise: boolean) =>
    isObject(config) && typeof config["enabled"] === "boolean" ? config["enabled"] : otherwise;
  const byDefault = isOn(usual, true);
  const named = each.filter(([, config]) => isOn(config, byDefault) !== byDefault);
  const names = named.map(([name]) => name);
  return byDefault ? { disallowed_tools: names } : { allowed_tools: names };
}

/** A request in Anthropic's form whose rounds stay in it, so that nothing of it is lost. */
export interface MessagesRequest {
  readonly body: JsonObject;
  /** How many messages of the chat that it decodes to are the caller's own. */
  readonly chat: ChatRequest;
}

/** @throws GatewayError invalid_request */
export function readMessages(
  body: JsonObject,
  toolbox: Toolbox,
  dialect: Dialect,
): MessagesRequest {
  const { mcp_servers: _, tools, messages, ...rest } = body;
  const own = listOf(tools).filter((tool) => !isHosted(tool) && !isToolset(tool));
  const hosted = toolbox.offered.map(({ name, tool: { description, parameters } }) => ({
    name,
    ...(description ? { description } : {}),
    input_schema: parameters,
  }));
  const restored = listOf(messages).flatMap((message) => restore(message, toolbox));
  const asked = { ...rest, messages: restored, tools: [...own, ...hosted] };
  return { body: asked, chat: dialect.decodeRequest(asked) };
}

/** The body of a round: what the turn has said since, in Anthropic's blocks behind the caller's own. */
export function toMessagesBody(
  { body, chat }: MessagesRequest,
  round: ChatRequest,
  dialect: Dialect,
): JsonObject {
  const since: readonly ChatMessage[] = round.messages.slice(chat.messages.length);
  const { tool_choice: choice, ...rest } = body;
  const chosen =
    round.tool_choice === "none"
      ? { tool_choice: { type: "none" } }
      : round.tool_choice === undefined || choice === undefined
        ? {}
        : { tool_choice: choice };
  if (since.length === 0) return { ...rest, ...chosen, stream: true };
  const said = dialect.encodeRequest({ model: chat.model, messages: since }, chat.model, {
    dropParams: true,
  });
  const messages = [...listOf(body["messages"]), ...listOf(said["messages"])];
  return { ...rest, ...chosen, messages, stream: true };
}

/** A message with blocks of MCP calls, as calls of functions and their results between. */
function restore(message: Json, toolbox: Toolbox): readonly Json[] {
  if (!isObject(message) || message["role"] !== "assistant") return [message];
  const content = message["content"];
  if (!Array.isArray(content) || !content.some(isMcpBlock)) return [message];
  const out: { readonly role: string; readonly content: JsonObject[] }[] = [];
  const known = new Map<string, string>();
  const put = (role: string, block: JsonObject) => {
    const last = out.at(-1);
    if (last?.role === role) last.content.push(block);
    else out.push({ role, content: [block] });
  };
  for (const block of content.filter(isObject)) {
    if (block["type"] === "mcp_tool_use") {
      const { id, name, server_name: server, input = {} } = block;
      const offered = toolbox.find(String(server), String(name));
      // One of a tool that this request does not have is left out: the text after it holds the answer.
      if (!offered) continue;
      known.set(String(id), sourceOf(offered));
      put("assistant", { type: "tool_use", id, name: offered.name, input });
    } else if (block["type"] === "mcp_tool_result") {
      const id = String(block["tool_use_id"]);
      const from = known.get(id);
      if (from === undefined) continue;
      const text = listOf(block["content"]).map((part) => textOf(part));
      const result = {
        type: "tool_result",
        tool_use_id: id,
        content: asData(text.join("\n"), from),
      };
      put("user", { ...result, ...(block["is_error"] === true ? { is_error: true } : {}) });
    } else put("assistant", block);
  }
  return out;
}

const isMcpBlock = (block: Json) =>
  isObject(block) && (block["type"] === "mcp_tool_use" || block["type"] === "mcp_tool_result");

const textOf = (part: Json) => (isObject(part) ? String(part["text"] ?? "") : "");
