/** What `routeiq loop` was asked for, checked before anything is done: training takes minutes to fail. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { holdsSegments } from "../../learning/events/event-source.ts";
import type { LoopRules } from "../../learning/loop/cycle.ts";
import { findStrategy, strategyNames } from "../../routing/strategies/registry.ts";
import { eventFileName } from "../../storage/event-log.ts";
import { askGateway } from "../ask-gateway.ts";
import type { CommandContext } from "../command.ts";
import { listFlag, seedFlag, textFlag } from "../learning-inputs.ts";
import { keysFrom } from "../models/repository.ts";
import { UsageError } from "../parse.ts";
import type { LoopSettings } from "./steps.ts";

/** @throws UsageError that says what is missing or wrong, and how to mend it */
export async function readSettings(
  context: CommandContext,
  repository: string,
  { dryRun }: LoopRules,
): Promise<LoopSettings> {
  const { flags, env } = context;
  const dataDir = resolve(textFlag(flags, "data-dir") ?? (env["ROUTEIQ_DATA_DIR"] || ".routeiq"));
  await checkKeys(context);
  const gateways = listFlag(flags, "gateway");
  for (const url of gateways) checkUrl(url);
  const judge = readJudge(context, gateways[0]);
  return {
    events: toEvents(listFlag(flags, "events"), dataDir),
    data: listFlag(flags, "data"),
    holdout: listFlag(flags, "holdout"),
    repository,
    keys: listFlag(flags, "key"),
    strategy: readStrategy(textFlag(flags, "strategy")),
    seed: String(seedFlag(flags)),
    gateways,
    ...(judge ? { judge } : {}),
    folder: join(dataDir, "loop"),
    dryRun,
  };
}

/** Named ones must be there, or reachable when their turn comes; the data folder's may come later. */
function toEvents(named: readonly string[], dataDir: string): () => readonly string[] {
  for (const source of named) {
    if (/^(s3|file):/i.test(source)) continue;
    const path = source.replace(/^sqlite:/, "");
    if (holdsSegments(source) || existsSync(path)) continue;
    throw new UsageError(
      `--events ${source} is not there. Give the --data-dir of a gateway, sqlite:PATH, or segments (a folder, s3://bucket/prefix).`,
    );
  }
  if (named.length > 0) return () => named;
  return () => (existsSync(join(dataDir, eventFileName)) ? [dataDir] : []);
}

async function checkKeys(context: CommandContext): Promise<void> {
  if (listFlag(context.flags, "key").length === 0) {
    throw new UsageError(
      "--key is needed: what releases are signed with. `routeiq models keygen` makes them.",
    );
  }
  const roles = new Set((await keysFrom(context)).map(({ role }) => role));
  for (const role of ["release", "timestamp"] as const) {
    if (roles.has(role)) continue;
    throw new UsageError(
      `--key has no key of the role "${role}": a loop signs releases and the timestamp. Name its file, or the folder that keygen made.`,
    );
  }
}

function checkUrl(url: string): void {
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return;
  throw new UsageError(`--gateway ${url} is no address: http://host:4000, say.`);
}

function readStrategy(name = "auto"): string {
  if (name === "auto" || findStrategy(name)) return name;
  throw new UsageError(
    `--strategy ${name} is not one that is trained: auto, ${strategyNames.join(", ")}.`,
  );
}

function readJudge({ flags }: CommandContext, url: string | undefined): LoopSettings["judge"] {
  const model = textFlag(flags, "judge");
  const budget = textFlag(flags, "budget");
  if ((model === undefined) !== (budget === undefined)) {
    throw new UsageError("--judge and --budget go together: a model, and USD for each turn.");
  }
  if (model === undefined || budget === undefined) return undefined;
  if (!(budget.trim() !== "" && Number(budget) > 0)) {
    throw new UsageError(`--budget ${budget} is no amount of USD above 0.`);
  }
  return { model, budget, ...(url === undefined ? {} : { url }) };
}

/**
 * A gateway that refuses our key will refuse it for ever; one that is out of reach may come back.
 * @throws GatewayError unauthorized, as the gateway says it
 */
export async function checkGateways(
  gateways: readonly string[],
  context: CommandContext,
): Promise<void> {
  for (const url of gateways) {
    try {
      const asked = { ...context, flags: { ...context.flags, url } };
      await askGateway({ method: "GET", path: "/admin/model/status" }, asked);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof GatewayError)) throw error;
      if (error.status === 401 || error.status === 403) throw error;
      context.out.note(`routeiq: ${error.message}; the loop goes on, and looks again later`);
    }
  }
}
