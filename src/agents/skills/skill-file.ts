/** A skill's `SKILL.md`: what it is, in front of what it says; and, of one that runs, how it is run. */
import { parse } from "yaml";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

export const skillFileName = "SKILL.md";
export const skillName = /^[a-z][a-z0-9-]{0,63}$/;
export const runtimes = ["javascript", "typescript", "wasm", "python"] as const;
export type Runtime = (typeof runtimes)[number];

export interface SkillFacts {
  readonly name: string;
  readonly description: string;
  /** Of a skill that runs. */
  readonly program?: SkillProgram;
}

export interface SkillProgram {
  readonly runtime: Runtime;
  /** Path of the file that is run. */
  readonly entry: string;
  /** JSON Schema of its input, as models are told it. */
  readonly inputSchema: JsonObject;
  readonly timeoutMs?: number;
  readonly memoryMb?: number;
  /** Hosts that it wants to reach. */
  readonly network: readonly string[];
}

const presetEntries: Readonly<Record<Runtime, string>> = {
  javascript: "main.js",
  typescript: "main.ts",
  wasm: "main.wasm",
  python: "main.py",
};
const descriptionChars = 200;
const frontmatterBytes = 64 * 1024;

/** @param fallbackName where the file names none: its folder's. @throws GatewayError invalid_request */
export function readSkillFile(text: string, fallbackName: string): SkillFacts {
  const match = /^---\r?\n([\s\S]*?)\r?\n---(?:\r?\n|$)/.exec(text.slice(0, frontmatterBytes));
  const front = match ? parseFront(match[1] ?? "") : {};
  const body = match ? text.slice(match[0].length) : text;
  const name = typeof front["name"] === "string" ? front["name"] : fallbackName;
  if (!skillName.test(name)) {
    throw invalid(`its name, ${JSON.stringify(name.slice(0, 80))}, must be like my-skill`);
  }
  const told = front["description"];
  const description = typeof told === "string" && told.trim() !== "" ? told : firstParagraph(body);
  const program = readProgram(front);
  return {
    name,
    description: description.trim().slice(0, Math.max(descriptionChars, told ? 1_024 : 0)),
    ...(program ? { program } : {}),
  };
}

function parseFront(text: string): JsonObject {
  try {
    const value: unknown = parse(text, { maxAliasCount: 0 });
    if (isObject(value)) return value;
  } catch (cause) {
    throw invalid(`its frontmatter is no YAML: ${String(cause).slice(0, 200)}`);
  }
  throw invalid("its frontmatter is no map");
}

/** The first paragraph after the heading, as the predecessor has it. */
function firstParagraph(body: string): string {
  const paragraphs = body.split(/\n\s*\n/).map((each) => each.replace(/^#.*$/gm, "").trim());
  return (paragraphs.find((each) => each !== "") ?? "").slice(0, descriptionChars);
}

function readProgram(front: JsonObject): SkillProgram | undefined {
  const { runtime, entry, input_schema: schema, network } = front;
  if (runtime === undefined || runtime === null) return undefined;
  const known = runtimes.find((each) => each === runtime);
  if (!known) throw invalid(`its runtime must be one of ${runtimes.join(", ")}`);
  const preset = presetEntries[known];
  const path = entry === undefined ? preset : entry;
  if (typeof path !== "string" || !isSafePath(path))
    throw invalid("its entry must be a file of it");
  if (schema !== undefined && !isObject(schema)) throw invalid("its input_schema must be a map");
  const hosts = network === undefined ? [] : network;
  if (!Array.isArray(hosts) || !hosts.every((host) => typeof host === "string")) {
    throw invalid("its network must be a list of hosts");
  }
  const timeoutMs = readNumber(front["timeout_ms"], "timeout_ms");
  const memoryMb = readNumber(front["memory_mb"], "memory_mb");
  return {
    runtime: known,
    entry: path,
    inputSchema: schema ?? { type: "object" },
    network: hosts as readonly string[],
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(memoryMb === undefined ? {} : { memoryMb }),
  };
}

function readNumber(value: Json | undefined, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && value > 0) return value;
  throw invalid(`its ${name} must be a number above 0`);
}

/** Plain words joined by "/": no path of it leads out of the skill. */
export function isSafePath(path: string): boolean {
  const plain = /^[A-Za-z0-9_][A-Za-z0-9_. -]*(\/[A-Za-z0-9_][A-Za-z0-9_. -]*)*$/.test(path);
  return plain && path.length <= 200;
}

function invalid(why: string): GatewayError {
  return new GatewayError("invalid_request", `${skillFileName} cannot be used: ${why}.`, {
    param: "files",
  });
}
