/** The tools of one turn: each under a name that providers take and no other tool has. */
import type { ChatTool } from "../../domain/chat.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { HostedSet, HostedTool } from "../../domain/hosted-tool.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

export interface Offered {
  /** As the model knows it. */
  readonly name: string;
  readonly tool: HostedTool;
  readonly set: HostedSet;
  /** The caller has to approve of its calls. */
  readonly needsApproval: boolean;
}

export interface Toolbox {
  readonly sets: readonly HostedSet[];
  readonly offered: readonly Offered[];
  /** By the model's name of it. */
  get(name: string): Offered | undefined;
  /** By its owner's. */
  find(label: string, tool: string): Offered | undefined;
}

/** An entry of `tools`, opened. */
export interface OpenedEntry {
  readonly entry: JsonObject;
  readonly set: HostedSet;
}

export interface ToolboxOptions {
  /** Names of the caller's own tools. */
  readonly taken: Iterable<string>;
  readonly maxTools: number;
  /** What a server's entry that says nothing of approval means. */
  readonly approvalUnsaid: boolean;
}

/** @throws GatewayError invalid_request */
export function createToolbox(entries: readonly OpenedEntry[], options: ToolboxOptions): Toolbox {
  const taken = new Set(options.taken);
  const offered = entries.flatMap(({ entry, set }) =>
    set.tools
      .filter((tool) => isAllowed(entry["allowed_tools"], tool))
      .filter((tool) => !isDisallowed(entry["disallowed_tools"], tool))
      .map((tool): Offered => {
        const name = nameFor(tool.name, set.label, taken);
        taken.add(name);
        const needsApproval = set.shownAs === "mcp" && approvalFor(entry, tool, options);
        return { name, tool, set, needsApproval };
      }),
  );
  if (offered.length > options.maxTools) {
    throw new GatewayError(
      "invalid_request",
      `The servers of 'tools' have ${offered.length} tools together; the limit is ${options.maxTools} (routeiq_settings.hosted_tools.max_tools). Name those that are needed in 'allowed_tools'.`,
      { param: "tools" },
    );
  }
  for (const each of offered) assertFits(each);
  const byName = new Map(offered.map((each) => [each.name, each]));
  return {
    sets: entries.map(({ set }) => set),
    offered,
    get: (name) => byName.get(name),
    find: (label, tool) =>
      offered.find((each) => each.set.label === label && each.tool.name === tool),
  };
}

/** Of what one tool says of itself: it stands in every round's prompt. */
const definitionChars = 65_536;

/** @throws GatewayError invalid_request */
function assertFits({ tool: { name, description, parameters }, set }: Offered): void {
  const chars = description.length + JSON.stringify(parameters).length;
  if (chars <= definitionChars) return;
  throw new GatewayError(
    "invalid_request",
    `The tool '${excerpt(name)}' of '${excerpt(set.label)}' is described in ${chars} characters; the limit is ${definitionChars}. Leave it out of 'allowed_tools'.`,
    { param: "tools" },
  );
}

const nameChars = 64;

/** The tool's own name where it is free; with its label, and then a number, where it is not. */
function nameFor(tool: string, label: string, taken: ReadonlySet<string>): string {
  const plain = sanitize(tool);
  if (!taken.has(plain)) return plain;
  const labelled = sanitize(`${label}_${tool}`);
  for (let i = 1; ; i++) {
    const tail = i === 1 ? "" : `_${i}`;
    const name = labelled.slice(0, nameChars - tail.length) + tail;
    if (!taken.has(name)) return name;
  }
}

const sanitize = (name: string) => name.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, nameChars) || "_";

/** `allowed_tools`: names, or `{tool_names, read_only}`; nothing said: all. */
function isAllowed(sent: Json | undefined, tool: HostedTool): boolean {
  if (sent === undefined || sent === null) return true;
  return Array.isArray(sent) ? sent.some((name) => isCalled(tool, name)) : matches(sent, tool);
}

const isDisallowed = (sent: Json | undefined, tool: HostedTool) =>
  Array.isArray(sent) && sent.some((name) => isCalled(tool, name));

function matches(filter: Json | undefined, tool: HostedTool): boolean {
  if (!isObject(filter)) return false;
  const { tool_names: names, read_only: readOnly } = filter;
  if (Array.isArray(names) && !names.some((name) => isCalled(tool, name))) return false;
  if (typeof readOnly === "boolean") {
    return (tool.annotations?.["readOnlyHint"] === true) === readOnly;
  }
  return Array.isArray(names);
}

/** Also as LiteLLM writes it, `server-tool`, and without the server where that leaves no doubt. */
function isCalled({ name }: HostedTool, sent: Json): boolean {
  if (typeof sent !== "string") return false;
  return sent === name || sent === name.replace(".", "-") || sent === name.replace(/^[^.]*\./, "");
}

/** `require_approval`: `always`, `never`, or which; where `never` is a list, all others need it. */
function approvalFor(
  { type, require_approval: sent }: JsonObject,
  tool: HostedTool,
  { approvalUnsaid }: ToolboxOptions,
): boolean {
  if (sent === undefined || sent === null) return type === "mcp" && approvalUnsaid;
  if (sent === "always" || sent === "never") return sent === "always";
  if (!isObject(sent)) {
    const message = "'require_approval' must be always, never, or {always, never}.";
    throw new GatewayError("invalid_request", message, { param: "tools" });
  }
  if (matches(sent["always"], tool)) return true;
  if (matches(sent["never"], tool)) return false;
  return sent["always"] === undefined || sent["never"] !== undefined;
}

/** Whose a tool is, for those who read its words. */
export const sourceOf = ({ set, tool }: Pick<Offered, "set" | "tool">) =>
  `${set.label}.${tool.name}`;

/** A tool as a function, as every model that calls functions is told of it. */
export function toFunction({ name, tool }: Offered): ChatTool {
  const { description, parameters } = tool;
  return {
    type: "function",
    function: { name, ...(description ? { description } : {}), parameters },
  };
}
