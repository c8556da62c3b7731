/**
 * What a simulated model says, in no dialect. Deterministic per seed, model and request; every answer
 * opens by saying that it is simulated.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { type SimulatedModel, uniform } from "./simulated-models.ts";
import { guessTopic, type Topic } from "./topics.ts";

/** A request as far as a simulated model reads it; both dialects are brought to it. */
export interface SimulatedRequest {
  readonly prompt: string;
  /** All that counts as input, the prompt included. */
  readonly inputText: string;
  readonly images: number;
  readonly tools: readonly SimulatedTool[];
  readonly toolChoice: "auto" | "none" | "required" | { readonly name: string };
  /** Set where the last turn brings a tool's result: its text. */
  readonly toolResult?: string;
  /** A schema to answer with JSON for; `{}`: any object. */
  readonly jsonSchema?: JsonObject;
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly choices: number;
}

export interface SimulatedTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonObject;
}

export interface SimulatedAnswer {
  readonly text: string;
  readonly toolCall?: { readonly name: string; readonly arguments: string };
  readonly finish: "stop" | "length" | "tool_calls";
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Token counts of the simulation: four characters each, at least one. */
export const countTokens = (text: string) => Math.max(1, Math.ceil(text.length / 4));

export function composeAnswer(
  model: SimulatedModel,
  request: SimulatedRequest,
  topic: Topic = guessTopic(request.prompt),
): SimulatedAnswer {
  const inputTokens = countTokens(request.inputText) + request.images * 85;
  const tool = pickTool(request);
  if (tool) {
    const args = JSON.stringify(fillSchema(tool.parameters, request.prompt));
    const outputTokens = countTokens(tool.name + args);
    const toolCall = { name: tool.name, arguments: args };
    return { text: "", toolCall, finish: "tool_calls", inputTokens, outputTokens };
  }
  const whole = request.jsonSchema
    ? JSON.stringify(fillSchema(request.jsonSchema, request.prompt))
    : prose(model, request, topic);
  const { text, finish } = cut(whole, request);
  return { text, finish, inputTokens, outputTokens: countTokens(text) };
}

/** A stop word ends an answer before it, the token limit ends it as "length". */
function cut(whole: string, request: SimulatedRequest) {
  const ends = request.stop.map((word) => whole.indexOf(word)).filter((at) => at >= 0);
  const stopped = ends.length > 0 ? whole.slice(0, Math.min(...ends)) : whole;
  const most = request.maxTokens * 4;
  if (stopped.length <= most) return { text: stopped, finish: "stop" as const };
  return { text: stopped.slice(0, most), finish: "length" as const };
}

/** The tool that was asked for by name, else the one with most words in common with the prompt. */
function pickTool(request: SimulatedRequest): SimulatedTool | undefined {
  const { tools, toolChoice } = request;
  if (tools.length === 0 || toolChoice === "none" || request.toolResult !== undefined) return;
  if (typeof toolChoice === "object") return tools.find((tool) => tool.name === toolChoice.name);
  const asked = new Set(words(request.prompt));
  const ranked = tools
    .map((tool) => ({ tool, shared: countShared(tool, asked) }))
    .sort((a, b) => b.shared - a.shared);
  const [best] = ranked;
  if (best && (best.shared > 0 || toolChoice === "required")) return best.tool;
  return undefined;
}

function countShared(tool: SimulatedTool, asked: ReadonlySet<string>): number {
  return words(`${tool.name} ${tool.description}`).filter((word) => asked.has(word)).length;
}

function words(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word.length > 3);
}

const maxSchemaDepth = 8;

/** A value that a JSON schema accepts, its words and numbers taken from the prompt where they fit. */
export function fillSchema(schema: JsonObject, prompt: string, depth = 0): Json {
  if (Array.isArray(schema["enum"])) return (schema["enum"][0] as Json | undefined) ?? null;
  if ("const" in schema) return schema["const"] ?? null;
  const type = Array.isArray(schema["type"]) ? schema["type"][0] : schema["type"];
  if (type === "string") return /\b\p{Lu}[\p{L}]+/u.exec(prompt.slice(1))?.[0] ?? "example";
  if (type === "number" || type === "integer") {
    const found = Number(/\d+/.exec(prompt)?.[0] ?? 1);
    const low = typeof schema["minimum"] === "number" ? schema["minimum"] : -Infinity;
    const high = typeof schema["maximum"] === "number" ? schema["maximum"] : Infinity;
    return Math.min(high, Math.max(low, found));
  }
  if (type === "boolean") return true;
  if (type === "null" || depth >= maxSchemaDepth) return null;
  if (type === "array") {
    return isObject(schema["items"]) ? [fillSchema(schema["items"], prompt, depth + 1)] : [];
  }
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [
      name,
      isObject(value) ? fillSchema(value, prompt, depth + 1) : null,
    ]),
  );
}

/** How long an answer on a topic is, in sentences. */
const sentencesByTopic: Readonly<Record<Topic, number>> = {
  code: 7,
  maths: 5,
  law: 8,
  translation: 2,
  writing: 7,
  "small-talk": 1,
  facts: 2,
  extraction: 2,
};

const fillers = [
  "A real model would now go into the details of the question.",
  "This sentence stands in for an argument and has the length of one.",
  "The next step follows from the one before, as it would in earnest.",
  "Here an example would make the point clear.",
  "An exception deserves a word as well.",
  "So far the reasoning; what follows only fills the page.",
  "To sum up, nothing was computed and nothing was looked up.",
];

function prose(model: SimulatedModel, request: SimulatedRequest, topic: Topic): string {
  const label = `[Simulated answer by ${model.name}: no real model was asked. Topic seen: ${topic}.]`;
  const parts = [label];
  if (request.toolResult !== undefined) {
    parts.push(`The tool said: ${request.toolResult.slice(0, 200)}`);
  }
  if (request.images > 0) {
    parts.push(`${request.images} image${request.images > 1 ? "s" : ""} came along.`);
  }
  const spread = 0.7 + 0.6 * uniform(`length\n${model.name}\n${request.prompt}`);
  const count = Math.max(1, Math.round(sentencesByTopic[topic] * model.verbosity * spread));
  const start = Math.floor(uniform(`start\n${request.prompt}`) * fillers.length);
  for (let at = 0; at < count; at++) parts.push(fillers[(start + at) % fillers.length] ?? "");
  return parts.join(" ");
}
