/** Skills that run as tools of a model: `{type: "skill", skill_id}` in a request's `tools`. */
import { excerpt, GatewayError, toGatewayError } from "../../domain/errors.ts";
import type { HostedSource, HostedTool } from "../../domain/hosted-tool.ts";
import type { Json } from "../../domain/json.ts";
import type { SkillRuns } from "./skill-runs.ts";

/** How answers show them: as an MCP server of this name. */
const label = "skills";
const skillFailed = -32000;

export function createSkillSource(runs: SkillRuns): HostedSource {
  return {
    type: "skill",
    claim: async () => "own",
    async open(entry, { caller, param }) {
      const skill = entry["skill_id"] ?? entry["name"];
      const where = `${param}.skill_id`;
      if (typeof skill !== "string" || skill === "") {
        const message = `'${where}' must be a skill's id or name.`;
        throw new GatewayError("invalid_request", message, { param: where });
      }
      const found = await runs.tool(skill, caller);
      if (!found) {
        const message = `'${where}': there is no skill '${excerpt(skill)}' that has a program.`;
        throw new GatewayError("not_found", message, { param: where });
      }
      const { version } = entry;
      const chosen = typeof version === "string" ? { version } : {};
      const tool: HostedTool = {
        name: found.name,
        description: found.description,
        parameters: found.inputSchema,
        async run(input, run) {
          try {
            const report = await runs.run({ skill, input, ...chosen, ...run });
            return { text: toText(report.output) };
          } catch (thrown) {
            run.signal.throwIfAborted();
            const { message, code } = toGatewayError(thrown);
            if (code === "internal") throw thrown;
            const kind = code === "skill_failed" ? "tool" : "protocol";
            return { text: message, failure: { kind, code: skillFailed, message } };
          }
        },
      };
      return { shownAs: "mcp", label, listed: false, tools: [tool], close: () => undefined };
    },
  };
}

const toText = (output: Json) => (typeof output === "string" ? output : JSON.stringify(output));
