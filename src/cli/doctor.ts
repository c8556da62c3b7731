/** `routeiq doctor`: whether this machine and this configuration can serve; `--live`: whether it does. */
import { defineCommand } from "./command.ts";

export const doctorCommand = defineCommand({
  name: "doctor",
  summary:
    "Check configuration, data folder, port, keys, clock and memory; with --live, the running server.",
  flags: {
    live: {
      description:
        "Ask the server on this machine whether it is alive; exit 0 or 1. For health checks.",
    },
    config: { description: "The configuration to check.", value: "FILE", short: "c" },
    host: { description: "Address that is served. Default 127.0.0.1.", value: "HOST" },
    port: { description: "Port that is served. Default 4000.", value: "PORT", short: "p" },
    "data-dir": { description: "Where state is kept. Default ./.routeiq.", value: "FOLDER" },
  },
  example: "routeiq doctor --config config.yaml",
  async run(context) {
    const { out } = context;
    if (context.flags["live"] === true) return (await import("./doctor/live.ts")).askLive(context);
    const { examine } = await import("./doctor/examine.ts");
    const checks = await examine(context);
    const words = { ok: "ok  ", warning: "warn", failed: "FAIL" } as const;
    for (const { status, name, message, remedy } of checks) {
      out.line(`${words[status]}  ${name.padEnd(9)} ${message}`);
      if (remedy && status !== "ok") out.line(`                ${remedy}`);
    }
    const failed = checks.filter(({ status }) => status === "failed").length;
    out.json({ ok: failed === 0, checks });
    return failed === 0 ? 0 : 1;
  },
});
