/** `routeiq config explain`: what a key means, and what it is set to. */
import { Kind, type TObject, type TSchema } from "@sinclair/typebox";
import { expectation } from "../config/decode.ts";
import { configSchema } from "../config/sections/all.ts";
import { findNearest } from "../std/nearest.ts";
import { defineCommand } from "./command.ts";

interface Explained {
  readonly key: string;
  readonly value: string;
  readonly default: unknown;
  readonly means: string;
}

export const configExplainCommand = defineCommand({
  name: "config explain",
  summary: "Say what a configuration key means, what it takes and its default.",
  args: { "[KEY]": "Such as router_settings.num_retries, or num_retries; without it, every key." },
  example: "routeiq config explain num_retries",
  run({ args, out }) {
    const [wanted] = args;
    const all = explainAll(configSchema, "");
    const found = wanted === undefined ? all : all.filter(({ key }) => isMeant(key, wanted));
    for (const { key, value, default: preset, means } of found) {
      out.line(
        `${key}: ${value}${preset === undefined ? "" : `, default ${JSON.stringify(preset)}`}`,
      );
      out.line(`    ${means}`);
    }
    if (found.length === 0) {
      const names = all.flatMap(({ key }) => [key, key.split(".").at(-1) ?? key]);
      const near = findNearest(wanted ?? "", names);
      out.note(`routeiq: there is no key "${wanted}".${near ? ` Did you mean "${near}"?` : ""}`);
    }
    out.json(found);
    return Promise.resolve(found.length > 0 ? 0 : 1);
  },
});

/** By its whole path, a section's path, or its last name. */
function isMeant(key: string, wanted: string): boolean {
  return key === wanted || key.startsWith(`${wanted}.`) || key.endsWith(`.${wanted}`);
}

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
