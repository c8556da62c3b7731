/** `routeiq models status|stage|shadow|canary|promote`: releases on their way into force on a gateway. */
import type { JsonObject } from "../../domain/json.ts";
import { askGateway, urlFlag } from "../ask-gateway.ts";
import { type Command, type CommandContext, defineCommand } from "../command.ts";
import { UsageError } from "../parse.ts";
import { showRollout } from "./rollout-text.ts";

export const statusCommand = defineCommand({
  name: "models status",
  summary: "Show a gateway's release in force, the one on its way, and how it does.",
  flags: { url: urlFlag },
  example: "routeiq models status --url http://gateway:4000",
  run: (context) => ask(context, { method: "GET", path: "/admin/model/status" }),
});

export const stageCommand = defineCommand({
  name: "models stage",
  summary:
    "Let a gateway fetch and verify the newest release, and hold it beside the one in force.",
  flags: {
    url: urlFlag,
    again: { description: "Also a release that was taken back there before." },
  },
  example: "routeiq models stage",
  run: (context) => give(context, "stage", context.flags["again"] === true ? { again: true } : {}),
});

export const shadowCommand = defineCommand({
  name: "models shadow",
  summary: "Let the staged release score decisions in the background; it answers nobody.",
  flags: { url: urlFlag },
  example: "routeiq models shadow",
  run: (context) => give(context, "shadow", {}),
});

export const canaryCommand = defineCommand({
  name: "models canary",
  summary: "Let the staged release answer a share of the users, conversations or calls.",
  flags: {
    url: urlFlag,
    share: {
      description: "Above 0, at most 1. Default: as configured, else 0.05.",
      value: "SHARE",
    },
  },
  example: "routeiq models canary --share 0.1",
  async run(context) {
    const { share } = context.flags;
    return await give(context, "canary", share === undefined ? {} : { share: toShare(share) });
  },
});

export const promoteCommand = defineCommand({
  name: "models promote",
  summary: "Put the staged release of a gateway in force.",
  flags: { url: urlFlag },
  example: "routeiq models promote",
  run: (context) => give(context, "promote", {}),
});

/** The gateway's half of `models rollback`. */
export function rollBackGateway(context: CommandContext): Promise<number> {
  const { reason } = context.flags;
  return give(context, "rollback", typeof reason === "string" ? { reason } : {});
}

function give(context: CommandContext, order: string, body: JsonObject): Promise<number> {
  return ask(context, { method: "POST", path: `/admin/model/${order}`, body });
}

async function ask(
  context: CommandContext,
  question: Parameters<typeof askGateway>[0],
): ReturnType<Command["run"]> {
  const status = await askGateway(question, context);
  context.out.json(status);
  for (const line of showRollout(status)) context.out.line(line);
  return 0;
}

/** @throws UsageError */
function toShare(text: unknown): number {
  const share = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  if (share > 0 && share <= 1) return share;
  throw new UsageError(`--share takes a number above 0, at most 1, not "${String(text)}".`);
}
