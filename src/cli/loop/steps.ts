/** The loop's steps: RouteIQ's own commands, its event log, and the gateways' admin API. */
import { existsSync, statSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { readArtifactFolder, unsignedName } from "../../learning/artifacts/folder.ts";
import { judgeGate } from "../../learning/artifacts/gate.ts";
import { readHead } from "../../learning/artifacts/repository.ts";
import { holdsSegments, readSource } from "../../learning/events/event-source.ts";
import { countLearnable } from "../../learning/events/from-events.ts";
import type { LoopSteps, Observed, ReleaseId, Standing } from "../../learning/loop/cycle.ts";
import {
  createCursorFile,
  createCursorMemory,
  observeLog,
  observeRows,
} from "../../learning/loop/observe.ts";
import { sleep, systemClock } from "../../std/clock.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { type EventReader, openEvents } from "../../storage/sqlite/read-events.ts";
import { askGateway } from "../ask-gateway.ts";
import type { CommandContext } from "../command.ts";
import { withStoreAccess } from "../learning-inputs.ts";
import { runStep } from "./run-step.ts";
import { standingOf, standingOfAll } from "./standing.ts";

export interface LoopSettings {
  /** Named ones, else the data folder's once there is one: a gateway may begin later than the loop. */
  readonly events: () => readonly string[];
  readonly data: readonly string[];
  readonly holdout: readonly string[];
  readonly repository: string;
  readonly keys: readonly string[];
  readonly strategy: string;
  readonly seed: string;
  readonly gateways: readonly string[];
  readonly judge?: { readonly model: string; readonly budget: string; readonly url?: string };
  /** Where routers lie while they are made. */
  readonly folder: string;
  /** Nothing outlives the turn, and nobody is asked. */
  readonly dryRun: boolean;
}

/** Routers of earlier cycles that are kept, to be looked at. */
const cyclesKept = 3;

export function createSteps(
  settings: LoopSettings,
  store: ObjectStore,
  context: CommandContext,
): LoopSteps {
  const { repository, keys, gateways, judge } = settings;
  const keyed = ["--key", ...keys];

  async function publishNow(args: readonly string[]): Promise<JsonObject> {
    const { exitCode, answer, said } = await runStep(args, context);
    if (exitCode === 0) return answer;
    throw new GatewayError("artifact_refused", String(answer["message"] ?? said));
  }

  async function inForce(): Promise<ReleaseId | undefined> {
    const head = await readHead(store);
    return head ? { version: head.release.version, sha256: head.release.sha256 } : undefined;
  }

  return {
    observe: () => observe(settings, context),
    ...(judge ? { label: () => label(settings, judge, context) } : {}),
    async train(cycle) {
      const folder = join(settings.folder, `cycle-${cycle}`);
      await removeCycles(settings.folder, cycle - cyclesKept);
      const { exitCode, answer, said } = await runStep(toTrainArgs(settings, folder), context);
      if (exitCode !== 0) throw new GatewayError("invalid_request", said || "training failed");
      const head = await inForce();
      const { release } = await readArtifactFolder(folder);
      const { provenance } = release;
      const gate = judgeGate(isObject(provenance) ? provenance : {}, head);
      return { folder, strategy: String(answer["strategy"]), gate };
    },
    isThere: async (folder) => existsSync(join(folder, unsignedName)),
    inForce,
    async sign(folder) {
      const args = ["models", "sign", folder, "--repository", repository, ...keyed];
      return toRelease(await publishNow(args));
    },
    publish: async (folder) =>
      void (await publishNow(["models", "publish", folder, repository, ...keyed])),
    ...(gateways.length > 0
      ? { watch: (release: ReleaseId) => watchAll(gateways, release, context) }
      : {}),
    async takeBack(to) {
      const args = ["models", "rollback", repository, "--to", String(to), ...keyed];
      const answer = await publishNow(args);
      return { version: Number(answer["active"]), sha256: String(answer["sha256"]) };
    },
  };
}

/** Up to and with a cycle. */
async function removeCycles(folder: string, last: number): Promise<void> {
  const names = await readdir(folder).catch(() => []); // the first turn has none yet
  for (const name of names) {
    const cycle = Number(/^cycle-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (cycle <= last) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Training compares with the release in force, which the keys' own roots vouch for. */
function toTrainArgs(settings: LoopSettings, folder: string): readonly string[] {
  const { data, holdout, strategy, seed, repository, keys } = settings;
  const events = settings.events();
  return [
    "train",
    ...(events.length > 0 ? ["--events", ...events] : []),
    ...(data.length > 0 ? ["--data", ...data] : []),
    ...(holdout.length > 0 ? ["--holdout", ...holdout] : []),
    ...["--strategy", strategy, "--seed", seed, "--out", folder],
    ...["--against", repository],
    ...keys.flatMap((key) => ["--root", statSync(key).isDirectory() ? key : dirname(key)]),
  ];
}

function toRelease(answer: JsonObject): ReleaseId {
  const { version, sha256 } = answer;
  if (typeof version === "number" && typeof sha256 === "string") return { version, sha256 };
  throw new GatewayError("internal", "models sign did not say what it signed.");
}

async function observe(
  settings: LoopSettings,
  { env, out, signal }: CommandContext,
): Promise<Observed> {
  const { folder, dryRun, data } = settings;
  const path = join(folder, "observed.json");
  const cursors = dryRun ? createCursorMemory(path) : createCursorFile(path);
  const pause = () => sleep(systemClock, 0);
  const onProblem = (message: string) => out.note(message);
  let calls = 0;
  let labelled = 0;
  await withStoreAccess(env, async (store) => {
    for (const source of settings.events()) {
      signal.throwIfAborted();
      const counted = holdsSegments(source)
        ? await countLearnable(untilStopped(readSource(source, { store, onProblem }), signal))
        : await withLog(source, (log) => observeLog(log, { cursors, source, signal, pause }));
      calls += counted.calls;
      labelled += counted.labelled;
    }
    for (const address of data) {
      const rows = await observeRows(address, { cursors, store, signal, onProblem });
      calls += rows;
      labelled += rows; // of others, training says how many it left out
    }
  });
  return { calls, labelled };
}

async function withLog<T>(source: string, use: (log: EventReader) => Promise<T>): Promise<T> {
  const log = openEvents(source);
  try {
    return await use(log);
  } finally {
    log.close();
  }
}

/** Between two looks at the signal. */
const pageCalls = 500;

async function* untilStopped<T>(all: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  let count = 0;
  for await (const one of all) {
    yield one;
    if (++count % pageCalls !== 0) continue;
    await sleep(systemClock, 0);
    signal.throwIfAborted();
  }
}

async function label(
  { events, dryRun }: LoopSettings,
  { model, budget, url }: NonNullable<LoopSettings["judge"]>,
  context: CommandContext,
): Promise<JsonObject> {
  const labelled: Json[] = [];
  for (const source of events()) {
    const where = url === undefined ? [] : ["--url", url];
    const plan = dryRun ? ["--plan"] : [];
    const args = ["label", "--events", source, "--judge", model, "--budget", budget, ...where];
    const { exitCode, answer, said } = await runStep([...args, ...plan], context);
    // Without labels there may still be feedback enough: the loop goes on, and the journal says it.
    if (exitCode !== 0) labelled.push({ ok: false, source, message: said });
    else labelled.push(dryRun ? { ok: true, source, ...toPlanned(answer) } : answer);
  }
  return { labelled };
}

/** A plan names every call; the journal takes how many. */
function toPlanned({ plan, cost_usd }: JsonObject): JsonObject {
  return { would_label: Array.isArray(plan) ? plan.length : 0, cost_usd: cost_usd ?? 0 };
}

async function watchAll(
  gateways: readonly string[],
  release: ReleaseId,
  context: CommandContext,
): Promise<Standing> {
  return standingOfAll(await Promise.all(gateways.map((url) => watchOne(url, release, context))));
}

async function watchOne(
  url: string,
  release: ReleaseId,
  context: CommandContext,
): Promise<Standing> {
  let status: JsonObject;
  try {
    const asked = { ...context, flags: { ...context.flags, url } };
    status = await askGateway({ method: "GET", path: "/admin/model/status" }, asked);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof GatewayError)) throw error;
    return { state: "under way", detail: `${url}: ${error.message}` };
  }
  return standingOf(url, status, release);
}
