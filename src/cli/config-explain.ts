/** `routeiq config explain`: what a call to a model would do, or what a key means. */
import { existsSync } from "node:fs";
import { Kind, type TObject, type TSchema } from "@sinclair/typebox";
import { expectation } from "../config/decode.ts";
import { showFinding } from "../config/report.ts";
import { configSchema } from "../config/sections/all.ts";
import type { JsonObject } from "../domain/json.ts";
import { operations } from "../domain/model.ts";
import { findNearest } from "../std/nearest.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { createConfigSource } from "./config-source.ts";
import { UsageError } from "./parse.ts";

interface Explained {
  readonly key: string;
  readonly value: string;
  readonly default: unknown;
  readonly means: string;
}

export const configExplainCommand = defineCommand({
  name: "config explain",
  summary:
    "Say what a call to a model would do, step by step, without calling; or what a key means.",
  args: {
    "[WORD…]":
      "A model, a configuration FILE, both; or a key such as router_settings.num_retries. Without any, every key.",
  },
  flags: {
    config: {
      description: "The configuration. Default: the one `serve` finds.",
      value: "FILE",
      short: "c",
    },
    model: {
      description: "The model, where its name is a key's as well.",
      value: "NAME",
      short: "m",
    },
    operation: { description: "What for. Default chat.", value: "OPERATION" },
    tags: { description: "The request's tags, separated by commas.", value: "TAGS" },
    region: { description: "The request's allowed_model_region.", value: "REGION" },
  },
  example: "routeiq config explain gpt-4o --config config.yaml",
  async run(context) {
    const { args, flags } = context;
    const file = args.find((word) => /\.ya?ml$/i.test(word) || existsSync(word)) ?? flags["config"];
    const words = args.filter((word) => word !== file);
    if (words.length > 1) throw new UsageError(`name one model or key, not ${words.length}.`);
    const [word] = words;
    const model = flags["model"] ?? word;
    if (flags["model"] === undefined && file === undefined) {
      const keys =
        word === undefined ? allKeys() : allKeys().filter(({ key }) => isMeant(key, word));
      if (keys.length > 0) return tellKeys(keys, context);
    }
    return tellCalls(file, typeof model === "string" ? model : undefined, context);
  },
});

async function tellCalls(
  file: unknown,
  model: string | undefined,
  { flags, env, out }: CommandContext,
): Promise<number> {
  const operation = operations.find((each) => each === (flags["operation"] ?? "chat"));
  if (!operation) throw new UsageError(`--operation takes one of: ${operations.join(", ")}.`);
  const { config, findings } = await createConfigSource(file, env).load();
  const isWordAlone = model !== undefined && file === undefined && flags["model"] === undefined;
  if (!config || (isWordAlone && config.origin === "simulated")) {
    if (isWordAlone) return tellNoKey(model, out);
    for (const finding of findings) out.line(showFinding(finding));
    out.json({ ok: false, findings });
    return 1;
  }
  const { createExplainer } = await import("./explain-call.ts");
  const explainer = createExplainer(config, env);
  const names = model === undefined ? explainer.names : [model];
  const body = readBody(flags);
  const told = names.map((name) => ({
    model: name,
    ...explainer.explain({ model: name, operation, body }),
  }));
  if (isWordAlone && told.every(({ ok }) => !ok) && !explainer.names.includes(model)) {
    const near = findNearest(model, explainer.names);
    if (near) out.note(`routeiq: did you mean "${near}"?`);
  }
  for (const { model: name, steps } of told) {
    out.line(`A call to "${name}" (${operation})`);
    steps.forEach(({ step, says }, i) => {
      says.forEach((line, j) => {
        out.line(`  ${j === 0 ? `${i + 1}. ${step}`.padEnd(14) : " ".repeat(14)}${line}`);
      });
    });
  }
  out.json(told);
  return told.some(({ ok }) => ok) ? 0 : 1;
}

function readBody(flags: CommandContext["flags"]): JsonObject {
  const { tags, region } = flags;
  return {
    ...(typeof tags === "string" ? { tags: tags.split(",").map((tag) => tag.trim()) } : {}),
    ...(typeof region === "string" ? { allowed_model_region: region } : {}),
  };
}

function tellKeys(keys: readonly Explained[], { out }: CommandContext): number {
  for (const { key, value, default: preset, means } of keys) {
    out.line(
      `${key}: ${value}${preset === undefined ? "" : `, default ${JSON.stringify(preset)}`}`,
    );
    out.line(`    ${means}`);
  }
  out.json(keys);
  return 0;
}

function tellNoKey(wanted: string, out: CommandContext["out"]): number {
  const names = allKeys().flatMap(({ key }) => [key, key.split(".").at(-1) ?? key]);
  const near = findNearest(wanted, names);
  out.note(`routeiq: there is no key "${wanted}".${near ? ` Did you mean "${near}"?` : ""}`);
  out.json([]);
  return 1;
}

/** By its whole path, a section's path, or its last name. */
function isMeant(key: string, wanted: string): boolean {
  return key === wanted || key.startsWith(`${wanted}.`) || key.endsWith(`.${wanted}`);
}

const allKeys = () => explainAll(configSchema, "");

function explainAll(schema: TObject, prefix: string): Explained[] {
  return Object.entries(schema.properties).flatMap(([name, property]) => {
    const key = `${prefix}${name}`;
    const row = rowOf(key, property);
    const items = property[Kind] === "Array" ? (property["items"] as TSchema) : property;
    return items[Kind] === "Object" ? [row, ...explainAll(items as TObject, `${key}.`)] : [row];
  });
}

function rowOf(key: string, schema: TSchema): Explained {
  return {
    key,
    value: expectation(schema),
    default: schema[Kind] === "Object" ? undefined : schema.default,
    means: schema.description ?? "",
  };
}
