/**
 * Calls whose `tools` name tools that the gateway itself runs. What knows of them is loaded with the
 * first such call; every other call pays one look at its tools' types.
 */
import type { Call } from "../../domain/call.ts";
import type { HostedSource } from "../../domain/hosted-tool.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Reply } from "../reply.ts";
import type { Services } from "../services.ts";

export interface HostedTurns {
  /** Whether a call asks for such tools: its model is asked with them alone, in rounds. */
  takes(call: Call): boolean;
  /** Of a call that asks for them: whether no provider would run them. @throws GatewayError */
  runsHere(call: Call, services: Services): Promise<boolean>;
  /** @throws CallFailed */
  answer(call: Call, services: Services): Promise<Reply>;
}

/** `type` in a request's `tools`. */
const hostedTypes: ReadonlySet<unknown> = new Set(["mcp", "skill", "file_search"]);

const dialects: ReadonlySet<string> = new Set(["openai-chat", "openai-responses", "anthropic"]);

/** @param sources asked for with the first such call */
export function createHostedTurns(sources: () => Promise<readonly HostedSource[]>): HostedTurns {
  return {
    takes({ body, dialect, operation }) {
      const { tools } = body;
      const named = dialect === "anthropic" && hasServers(body);
      if (!named && !hasHosted(tools)) return false;
      return dialects.has(dialect) && (operation === "chat" || operation === "responses");
    },
    async runsHere(call, services) {
      const [{ isProviders, readEntries }, known] = await Promise.all([
        import("./entries.ts"),
        sources(),
      ]);
      return !(await isProviders(readEntries(call, known), call, services));
    },
    async answer(call, services) {
      const [{ answerHosted }, known] = await Promise.all([import("./answer.ts"), sources()]);
      return answerHosted(call, known, services);
    },
  };
}

/** A loop and not `some`: it is run for every call that has tools. */
function hasHosted(tools: Json | undefined): boolean {
  if (!Array.isArray(tools)) return false;
  for (let i = 0; i < tools.length; i++) {
    const tool: Json | undefined = tools[i];
    if (isObject(tool) && tool["type"] !== "function" && isHosted(tool)) return true;
  }
  return false;
}

/** Anthropic's callers name MCP servers apart from their tools. */
const hasServers = ({ mcp_servers: servers }: JsonObject) =>
  Array.isArray(servers) && servers.length > 0;

/** A body without what the gateway would run, for those who only look at it. */
export function withoutHosted(body: JsonObject): JsonObject {
  const { tools, ...rest } = body;
  if (!Array.isArray(tools) || !hasHosted(tools)) return body;
  const left = tools.filter((tool) => !isHosted(tool));
  return left.length > 0 ? { ...rest, tools: left } : rest;
}

export const isHosted = (tool: Json): tool is JsonObject =>
  isObject(tool) && hostedTypes.has(tool["type"]);
