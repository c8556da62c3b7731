/** `routeiq loop`: learns from traffic by itself, publishes what is proven better, takes back what is not. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toGatewayError } from "../domain/errors.ts";
import { parseDuration } from "../learning/artifacts/time.ts";
import { type LoopRules, type Turn, turn } from "../learning/loop/cycle.ts";
import {
  firstState,
  type Journal,
  journalName,
  journalPrefix,
  openJournal,
  readLoopState,
} from "../learning/loop/journal.ts";
import { type LeaderOptions, lead } from "../learning/loop/leader.ts";
import { sleep, systemClock } from "../std/clock.ts";
import { systemRandom } from "../std/random.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { listFlag, textFlag } from "./learning-inputs.ts";
import { entryLine, showJournal } from "./loop/journal-text.ts";
import { checkGateways, readSettings } from "./loop/settings.ts";
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
    "dry-run": {
      description: "Say what a turn would do: plan labels, train, judge. Nothing is kept or asked.",
    },
    journal: { description: "Show what was done and why, and where the loop stands." },
    limit: { description: "With --journal: the last so many entries. Default: 50.", value: "N" },
    "data-dir": {
      description: "Room for routers under way, and a copy of the journal. Default ./.routeiq.",
      value: "FOLDER",
    },
  },
  example: "routeiq loop --repository s3://models/router --key keys --gateway http://gateway:4000",
  run: (context) => {
    const repository = textFlag(context.flags, "repository");
    if (!repository) throw new UsageError("--repository is needed: where releases go.");
    return withRepository(repository, context, (store) =>
      context.flags["journal"] === true
        ? showJournal(context, store)
        : runLoop(context, repository, store),
    );
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
  const { flags, out, signal } = context;
  const rules = readRules(context);
  const intervalMs = spanFlag(context, "interval", "1h");
  const settings = await readSettings(context, repository, rules);
  await checkGateways(settings.gateways, context);
  const once = flags["once"] === true;
  const holder = randomUUID();
  if (rules.dryRun) return await dryTurn(context, { settings, rules, store });
  out.line(
    `journal: ${store.url}/${journalPrefix}, copied to ${join(settings.folder, journalName)}`,
  );

  for (let failures = 0; !signal.aborted; ) {
    const leadership = await leadOrSay({ store, clock: systemClock, holder }, context);
    if (leadership === undefined) {
      if (once) return 0;
      await pause(leaderEveryMs, signal);
      continue;
    }
    const both = AbortSignal.any([signal, leadership.signal]);
    let code: number;
    try {
      // Opened anew each time: another may have led meanwhile.
      const journal = await openJournal({
        store,
        folder: settings.folder,
        nowMs: systemClock.now,
      });
      code = await oneTurn({ ...context, signal: both }, { settings, rules, journal, store });
      failures = code === 0 ? 0 : Math.max(failures + 1, journal.state.failures);
    } catch (thrown) {
      if (once) throw thrown;
      // The repository is out of reach, say: it may be back later.
      out.note(`routeiq: ${toGatewayError(thrown).message}`);
      code = 1;
      failures++;
    } finally {
      await leadership.release().catch((cause: unknown) => {
        out.note(`routeiq: the lease runs out by itself: ${toGatewayError(cause).message}`);
      });
    }
    if (once) return code;
    await pause(code === 0 ? jittered(intervalMs) : backoffMs(failures, intervalMs), signal);
  }
  return 0;
}

async function leadOrSay(options: LeaderOptions, { out }: CommandContext) {
  const leadership = await lead(options);
  if (leadership) return leadership;
  out.line("another loop leads; this one waits");
  out.json({ ok: true, done: "another loop leads" });
  return undefined;
}

interface TurnParts {
  readonly settings: LoopSettings;
  readonly rules: LoopRules;
  readonly journal: Journal;
  readonly store: ObjectStore;
}

/** What a turn would do, told; without the lead, so that it may run beside the loop that has it. */
async function dryTurn(
  context: CommandContext,
  parts: Omit<TurnParts, "journal">,
): Promise<number> {
  const { out } = context;
  const folder = await mkdtemp(join(tmpdir(), "routeiq-dry-run-"));
  let state = (await readLoopState(parts.store)) ?? firstState;
  const journal: Journal = {
    get state() {
      return state;
    },
    async move(next) {
      state = next;
    },
    async tell(event, facts) {
      out.line(entryLine({ cycle: state.cycle, event, ...facts }));
    },
  };
  try {
    const settings = { ...parts.settings, folder };
    return await oneTurn(context, { ...parts, settings, journal });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
    out.note(`routeiq: ${message}`);
    out.json({ ok: false, cycle: state.cycle, phase: state.phase, code, message });
    try {
      if (!signal.aborted) await journal.move({ ...state, failures: state.failures + 1 });
      const event = signal.aborted ? "stopped" : "failed";
      await journal.tell(event, { phase: state.phase, code, message });
    } catch (unwritten) {
      // Where the repository itself is out of reach, the terminal is all there is.
      out.note(`routeiq: the journal could not be written: ${toGatewayError(unwritten).message}`);
    }
    return 1;
  }
}

function toLine(done: Turn, cycle: number): string {
  if (done.done === "waiting") return `nothing to do: ${done.why}`;
  if (done.done === "refused") return `cycle ${cycle}: the gate refuses, ${done.why}`;
  if (done.done === "dry run") return `cycle ${cycle}: a dry run; ${done.why}`;
  return `cycle ${cycle}: release ${done.release.version} was ${done.done}`;
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
