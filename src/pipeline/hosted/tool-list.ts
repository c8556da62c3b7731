/** What an answer tells of a server's tools, in MCP's words: those that the model was told of. */
import type { HostedList } from "../../domain/hosted-event.ts";
import type { HostedSet } from "../../domain/hosted-tool.ts";
import type { Toolbox } from "./toolbox.ts";

export function toList(set: HostedSet, { offered }: Toolbox): HostedList {
  const tools = offered
    .filter((each) => each.set === set)
    .map(({ tool: { name, description, parameters, annotations } }) => ({
      name,
      description,
      input_schema: parameters,
      annotations: annotations ?? null,
    }));
  return { kind: "list", label: set.label, tools };
}
