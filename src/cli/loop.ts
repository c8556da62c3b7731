/** `routeiq loop`: learns from traffic by itself, publishes what is proven better, takes back what is not. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { toGatewayError } from "../domain/errors.ts";
import { parseDuration } from "../learning/artifacts/time.ts";
import { type LoopRules, type Turn, turn } from "../learning/loop/cycle.ts";
import { type Journal, journalName, openJournal } from "../learning/loop/journal.ts";
import { lead } from "../learning/loop/leader.ts";
import { sleep, systemClock } from "../std/clock.ts";
import { systemRandom } from "../std/random.ts";
import { eventFileName } from "../storage/event-log.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { listFlag, textFlag } from "./learning-inputs.ts";
import { createSteps, type LoopSettings } from "./loop/steps.ts";
import { countFrom, withRepository } from "./models/repository.ts";
import { UsageError } from "./parse.ts";

export const loopCommand = defineCommand({
  name: "loop",
  summary:
    "Learn from traffic by itself: observe, label, train, gate, sign, publish, watch, take back.",
  flags: {
    events: {
      description: "Event logs, as of `train`. Default: the data folder.",
      value: "SRC…",
      many: true,
      repeat: true,
    },
    data: {
      description: "Rows to learn from beside them, as of `train`.",
      value: "FILE…",
      many: true,
    },
    holdout: { description: "Rows that judge and teach nothing.", value: "FILE…", many: true },
    repository: {
      description: "Where releases go: a folder or s3://bucket/prefix.",
      value: "REPOSITORY",
    },
    key: {
      description:
        "Keys of the release and timestamp roles: files, or the folder that keygen made.",
      value: "FILE",
      many: true,
    },
    gateway: {
      description: "Gateways to watch after a release (admin key: ROUTEIQ_API_KEY).",
      value: "URL…",
      many: true,
    },
    judge: {
      description: "A model that labels answers before training; see `label`.",
      value: "MODEL",
    },
    budget: { description: "USD for the judge, each turn.", value: "USD" },
    strategy: { description: "As of `train`. Default: auto.", value: "NAME" },
    seed: { description: "As of `train`. Default: 1.", value: "N" },
    "min-new": {
      description: "New labelled calls before training again. Default: 200.",
      value: "N",
    },
    interval: { description: "Between two turns. Default: 1h.", value: "SPAN" },
    "watch-for": {
      description: "How long a release may wait for its verdict. Default: 24h.",
      value: "SPAN",
    },
    once: { description: "One turn, then the end." },
    "dry-run": { description: "Train and judge; sign and publish nothing." },
    "data-dir": {
      description: "Where state and journal are kept. Default ./.routeiq.",
      value: "FOLDER",
    },
  },
  example: "routeiq loop --repository s3://models/router --key keys --gateway http://gateway:4000",
  run: (context) => {
    const repository = textFlag(context.flags, "repository");
    if (!repository) throw new UsageError("--repository is needed: where releases go.");
    return withRepository(repository, context, (store) => runLoop(context, repository, store));
  },
});

/** Between two looks at the gateways: at first soon, since some verdicts come soon. */
const watchEveryMs = { first: 250, most: 5_000 } as const;
const leaderEveryMs = 30_000;
const firstBackoffMs = 30_000;

async function runLoop(
  context: CommandContext,
  repository: string,
  store: ObjectStore,
): Promise<number> {
  const { flags, out, signal, env } = context;
  const dataDir = resolve(textFlag(flags, "data-dir") ?? (env["ROUTEIQ_DATA_DIR"] || ".routeiq"));
  const folder = join(dataDir, "loop");
  const settings = readSettings(context, { repository, dataDir, folder });
  const rules = readRules(context);
  const intervalMs = spanFlag(context, "interval", "1h");
  const once = flags["once"] === true;
  const journal = await openJournal(folder, systemClock.now);
  const holder = randomUUID();
  out.line(`journal: ${join(folder, journalName)}`);

  while (!signal.aborted) {
    // A dry run changes nothing, so that it may run beside the loop that does.
    const leadership = rules.dryRun ? dry : await lead({ store, clock: systemClock, holder });
    if (!leadership) {
      out.line("another loop leads; this one waits");
      if (once) {
        out.json({ ok: true, done: "another loop leads" });
        return 0;
      }
      await pause(leaderEveryMs, signal);
      continue;
    }
    const both = AbortSignal.any([signal, leadership.signal]);
    const inner = { ...context, signal: both };
    let code: number;
    try {
      code = await oneTurn(inner, { settings, rules, journal, store });
    } finally {
      await leadership.release();
    }
    if (once) return code;
    const waitMs =
      code === 0 ? jittered(intervalMs) : backoffMs(journal.state.failures, intervalMs);
    await pause(waitMs, signal);
  }
  return 0;
}

const dry = { signal: new AbortController().signal, release: async () => undefined };

interface TurnParts {
  readonly settings: LoopSettings;
  readonly rules: LoopRules;
  readonly journal: Journal;
  readonly store: ObjectStore;
}

/** A failed step is told, and tried again at the next turn: nothing that was done is undone. */
async function oneTurn(context: CommandContext, parts: TurnParts): Promise<number> {
  const { settings, rules, journal, store } = parts;
  const { out, signal } = context;
  try {
    const done = await turn({
      steps: createSteps(settings, store, context),
      journal,
      rules,
      nowMs: systemClock.now,
      pause: (looks) => {
        const { first, most } = watchEveryMs;
        return sleep(systemClock, Math.min(most, first * 1.3 ** Math.min(looks, 20)), signal);
      },
      signal,
    });
    out.line(toLine(done, journal.state.cycle));
    out.json({ ok: true, cycle: journal.state.cycle, ...done });
    return 0;
  } catch (thrown) {
    const { code, message } = toGatewayError(signal.aborted ? signal.reason : thrown);
    const { state } = journal;
    if (!signal.aborted) await journal.move({ ...state, failures: state.failures + 1 });
    await journal.tell(signal.aborted ? "stopped" : "failed", {
      phase: state.phase,
      code,
      message,
    });
    out.note(`routeiq: ${message}`);
    out.json({ ok: false, cycle: state.cycle, phase: state.phase, code, message });
    return 1;
  }
}

function toLine(done: Turn, cycle: number): string {
  if (done.done === "waiting") return `nothing to do: ${done.why}`;
  if (done.done === "refused") return `cycle ${cycle}: the gate refuses, ${done.why}`;
  if (done.done === "dry run") return `cycle ${cycle}: a dry run; the gate would say: ${done.why}`;
  return `cycle ${cycle}: release ${done.release.version} was ${done.done}`;
}

function readSettings(
  { flags }: CommandContext,
  { repository, dataDir, folder }: Readonly<Record<"repository" | "dataDir" | "folder", string>>,
): LoopSettings {
  const keys = listFlag(flags, "key");
  if (keys.length === 0) throw new UsageError("--key is needed: what releases are signed with.");
  const events = listFlag(flags, "events");
  const judge = textFlag(flags, "judge");
  const budget = textFlag(flags, "budget");
  if ((judge === undefined) !== (budget === undefined)) {
    throw new UsageError("--judge and --budget go together.");
  }
  const gateways = listFlag(flags, "gateway");
  const url = gateways[0];
  return {
    // A gateway that has not answered anybody yet has no log.
    events: events.length > 0 || !existsSync(join(dataDir, eventFileName)) ? events : [dataDir],
    data: listFlag(flags, "data"),
    holdout: listFlag(flags, "holdout"),
    repository,
    keys,
    strategy: textFlag(flags, "strategy") ?? "auto",
    seed: textFlag(flags, "seed") ?? "1",
    gateways,
    ...(judge && budget ? { judge: { model: judge, budget, ...(url ? { url } : {}) } } : {}),
    folder,
  };
}

function readRules(context: CommandContext): LoopRules {
  return {
    minNew: countFrom(context.flags["min-new"], 200, "min-new"),
    hasData: listFlag(context.flags, "data").length > 0,
    watchMs: spanFlag(context, "watch-for", "24h"),
    dryRun: context.flags["dry-run"] === true,
  };
}

function spanFlag({ flags }: CommandContext, name: string, preset: string): number {
  const text = textFlag(flags, name) ?? preset;
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new UsageError(`--${name} takes a span like 30m, 1h or 1d, not "${text}".`);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(systemClock, ms, signal).catch(() => undefined); // the loop looks at the signal
}

/** ±20 %, so that many loops do not come at once. */
const jittered = (ms: number) => ms * (0.8 + 0.4 * systemRandom.next());

const backoffMs = (failures: number, mostMs: number) =>
  Math.min(mostMs, firstBackoffMs * 2 ** Math.min(10, Math.max(0, failures - 1)));
