/** Skills as a server of MCP: `/mcp/skills`, and among the others of `/mcp` as `skills.{name}`. */
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { InnerServer } from "../mcp/tools/inner-tools.ts";
import type { SkillRuns, SkillTool } from "./skill-runs.ts";

export function createSkillServer(runs: SkillRuns): InnerServer {
  return {
    name: "skills",
    description: "The gateway's skills that have a program: the operator's, and your own.",
    async tools(caller) {
      return (await runs.tools(caller)).map(toDefinition);
    },
    async call({ tool, args, caller, signal }) {
      const { output, logs, version } = await runs.run({
        ...{ skill: tool, input: args, caller, signal },
      });
      const text = typeof output === "string" ? output : JSON.stringify(output);
      return {
        content: [{ type: "text", text }],
        // The protocol has objects alone here; anything else is in the text.
        ...(isObject(output) ? { structuredContent: output } : {}),
        _meta: { "routeiq/version": version, ...(logs.length > 0 ? { "routeiq/logs": logs } : {}) },
      } as JsonObject;
    },
  };
}

function toDefinition({ name, description, inputSchema }: SkillTool): JsonObject {
  // A schema without a type is one of an object, as a skill's input always is for a tool.
  return { name, description, inputSchema: { ...inputSchema, type: "object" } };
}
