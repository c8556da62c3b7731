/** `routeiq config check`. */
import { showFinding } from "../config/report.ts";
import { toDeployments } from "../providers/deployments.ts";
import { defineCommand } from "./command.ts";
import { createConfigSource } from "./config-source.ts";

export const configCheckCommand = defineCommand({
  name: "config check",
  summary: "Read a configuration as `serve` would, and say what is wrong or doubtful.",
  args: { "[FILE]": "The configuration; without it, the one that `serve` would find." },
  flags: {
    config: { description: "The same as FILE.", value: "FILE", short: "c" },
    strict: { description: "Take warnings for errors." },
  },
  example: "routeiq config check config.yaml --strict",
  async run({ args, flags, out, env }) {
    const named = args[0] ?? flags["config"];
    const checked = await createConfigSource(named, env).load();
    const { config } = checked;
    const rows = config ? toDeployments(config, { env, factsOf: () => ({}) }).findings : [];
    const findings = [...checked.findings, ...rows];
    const errors = findings.filter(({ level }) => level === "error").length;
    const warnings = findings.length - errors;
    const ok = errors === 0 && (warnings === 0 || flags["strict"] !== true);
    for (const finding of findings) out.line(showFinding(finding));
    const origin = config
      ? `, from ${config.files.join(", ") || `the ${config.origin} providers`}`
      : "";
    const models = config ? `; ${config.models.length} deployments${origin}` : "";
    out.line(`${ok ? "ok" : "not ok"}: ${errors} errors, ${warnings} warnings${models}`);
    out.json({ ok, errors, warnings, files: config?.files ?? [], findings });
    return ok ? 0 : 1;
  },
});
