/**
 * Calls whose `tools` name tools that the gateway itself runs. What knows of them is loaded with the
 * first such call; every other call pays one look at its tools' types.
 */
import type { HostedSource } from "../../domain/hosted-tool.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { HostedTurns } from "../services.ts";
import { hasHosted } from "./hosted-types.ts";

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

/** Anthropic's callers name MCP servers apart from their tools. */
const hasServers = ({ mcp_servers: servers }: JsonObject) =>
  Array.isArray(servers) && servers.length > 0;
