/** `routeiq version`. */
import { build } from "../std/build.ts";
import { defineCommand } from "./command.ts";

export const versionCommand = defineCommand({
  name: "version",
  summary: "Show the version of RouteIQ and of the runtime inside it.",
  example: "routeiq version --json",
  run({ out }) {
    const { version, commit, target } = build;
    const { platform, arch } = process;
    const facts = { version, commit, target, bun: Bun.version, platform, arch };
    out.line(`routeiq ${version} (${commit}, bun ${Bun.version}, ${platform}-${arch})`);
    out.json(facts);
    return Promise.resolve(0);
  },
});
