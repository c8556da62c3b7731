/**
 * `response_format` at Anthropic: structured output where the model has it, else a tool that the
 * model must answer through (as LiteLLM does), else an instruction.
 * Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
 */
import type { ChatRequest } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { requireObject } from "../read.ts";
import type { ModelTraits } from "./models.ts";
import { jsonToolName } from "./wire.ts";

export interface JsonOutput {
  /** For `output_config.format`. */
  readonly format?: JsonObject;
  /** To be added to the tools, and the answer asked for through it. */
  readonly tool?: JsonObject;
  readonly system: readonly JsonObject[];
}

const none: JsonOutput = { system: [] };

export function jsonOutput(request: ChatRequest, traits: ModelTraits): JsonOutput {
  const wanted = request.response_format;
  if (!isObject(wanted) || wanted["type"] === "text") return none;
  if (wanted["type"] === "json_object") {
    const text = "Answer with one valid JSON object and nothing else: no prose, no code fence.";
    return { system: [{ type: "text", text }] };
  }
  if (wanted["type"] !== "json_schema") return none;
  const described = requireObject(wanted["json_schema"], "response_format.json_schema");
  const schema = isObject(described["schema"]) ? described["schema"] : { type: "object" };
  if (traits.structuredOutput) {
    return { format: { type: "json_schema", schema: toStrictSchema(schema) }, system: [] };
  }
  const description = described["description"];
  return {
    system: [],
    tool: {
      name: jsonToolName,
      description:
        typeof description === "string" ? description : "Give the final answer through this tool.",
      input_schema: { ...schema, type: "object" },
    },
  };
}

/** Formats of strings that Anthropic can hold a model to. */
const formats = new Set([
  ...["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"],
]);
const kept = new Set(["title", "description", "required", "enum", "const", "$ref", "default"]);

/**
 * A schema within what structured output supports. Constraints that it cannot hold a model to become
 * words in the description, so that the model still reads them.
 */
export function toStrictSchema(schema: JsonObject): JsonObject {
  const strict: Record<string, Json | undefined> = {};
  const words: string[] = [];
  for (const [key, value] of Object.entries(schema)) {
    if (key === "properties" || key === "$defs" || key === "definitions") {
      strict[key] = mapSchemas(value);
    } else if (key === "items") {
      strict[key] = isObject(value) ? toStrictSchema(value) : value;
    } else if (key === "anyOf" || key === "allOf" || key === "oneOf") {
      strict[key === "oneOf" ? "anyOf" : key] = Array.isArray(value)
        ? value.map((each: Json) => (isObject(each) ? toStrictSchema(each) : each))
        : value;
    } else if (isSupported(key, value)) {
      strict[key] = value;
    } else if (key !== "$schema" && key !== "additionalProperties") {
      words.push(`${key}: ${JSON.stringify(value)}`);
    }
  }
  if (includesType(schema["type"], "object")) {
    strict["properties"] ??= {};
    strict["additionalProperties"] = false;
  }
  if (words.length > 0) {
    const before = typeof strict["description"] === "string" ? `${strict["description"]}\n\n` : "";
    strict["description"] = `${before}{${words.join(", ")}}`;
  }
  return strict;
}

function isSupported(key: string, value: Json | undefined): boolean {
  if (key === "type" || kept.has(key)) return true;
  if (key === "format") return typeof value === "string" && formats.has(value);
  return key === "minItems" && (value === 0 || value === 1);
}

const includesType = (type: Json | undefined, name: string) =>
  type === name || (Array.isArray(type) && type.includes(name));

function mapSchemas(schemas: Json | undefined): Json | undefined {
  if (!isObject(schemas)) return schemas;
  const pairs = Object.entries(schemas);
  return Object.fromEntries(
    pairs.map(([name, each]) => [name, isObject(each) ? toStrictSchema(each) : each]),
  );
}
