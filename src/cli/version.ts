/** `routeiq version`. */
import { version } from "../std/version.ts";
import { defineCommand } from "./command.ts";

export const versionCommand = defineCommand({
  name: "version",
  summary: "Show the version of RouteIQ and of the runtime inside it.",
  example: "routeiq version --json",
  run({ out }) {
    const facts = { version, bun: Bun.version, platform: process.platform, arch: process.arch };
    out.line(`routeiq ${facts.version} (bun ${facts.bun}, ${facts.platform}-${facts.arch})`);
    out.json(facts);
    return Promise.resolve(0);
  },
});
