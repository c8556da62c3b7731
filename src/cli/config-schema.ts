/** `routeiq config schema`: the configuration's JSON Schema, for editors. */
import { configSchema } from "../config/sections/all.ts";
import { defineCommand } from "./command.ts";

export const configSchemaCommand = defineCommand({
  name: "config schema",
  summary: "Print the configuration's JSON Schema, for editors and other programs.",
  example: "routeiq config schema > routeiq.schema.json",
  run({ out }) {
    out.line(JSON.stringify(configSchema, null, 2));
    out.json(configSchema);
    return Promise.resolve(0);
  },
});
