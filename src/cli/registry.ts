/**
 * The commands by name, in the order of help. Each is imported only when it is needed, so that
 * `serve` starts without the code of `train`; the import paths are literals, so that the bundler
 * sees them.
 */
import type { Command } from "./command.ts";

export type CommandRegistry = Readonly<Record<string, () => Promise<Command>>>;

/** A new command is a file and a line here. Two-word names form families: `models verify`. */
export const commands: CommandRegistry = {
  serve: async () => (await import("./serve.ts")).serveCommand,
  demo: async () => (await import("./demo.ts")).demoCommand,
  "config check": async () => (await import("./config-check.ts")).configCheckCommand,
  "config explain": async () => (await import("./config-explain.ts")).configExplainCommand,
  "config schema": async () => (await import("./config-schema.ts")).configSchemaCommand,
  "models keygen": async () => (await import("./models/keygen.ts")).keygenCommand,
  "models sign": async () => (await import("./models/sign.ts")).signCommand,
  "models publish": async () => (await import("./models/publish.ts")).publishCommand,
  "models verify": async () => (await import("./models/verify.ts")).verifyCommand,
  "models import": async () => (await import("./models/import.ts")).importCommand,
  "models check-custom": async () => (await import("./models/check-custom.ts")).checkCustomCommand,
  "models list": async () => (await import("./models/list.ts")).listCommand,
  "models status": async () => (await import("./models/rollout.ts")).statusCommand,
  "models stage": async () => (await import("./models/rollout.ts")).stageCommand,
  "models shadow": async () => (await import("./models/rollout.ts")).shadowCommand,
  "models canary": async () => (await import("./models/rollout.ts")).canaryCommand,
  "models promote": async () => (await import("./models/rollout.ts")).promoteCommand,
  "models rollback": async () => (await import("./models/rollback.ts")).rollbackCommand,
  "experiments status": async () => (await import("./experiments.ts")).experimentsStatusCommand,
  "experiments stop": async () => (await import("./experiments.ts")).experimentsStopCommand,
  "experiments start": async () => (await import("./experiments.ts")).experimentsStartCommand,
  train: async () => (await import("./train.ts")).trainCommand,
  eval: async () => (await import("./eval.ts")).evalCommand,
  label: async () => (await import("./label/label.ts")).labelCommand,
  loop: async () => (await import("./loop.ts")).loopCommand,
  "skills install-python": async () => (await import("./install-python.ts")).installPythonCommand,
  "events export": async () => (await import("./events/export.ts")).exportCommand,
  why: async () => (await import("./why.ts")).whyCommand,
  doctor: async () => (await import("./doctor.ts")).doctorCommand,
  version: async () => (await import("./version.ts")).versionCommand,
};

/** What runs when the line names no command. */
export const defaultCommand = "serve";
