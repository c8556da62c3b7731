/**
 * The demo's scenes of learning: `routeiq loop --once`, as an operator would run it, beside traffic
 * that goes on. What it says of itself in its journal is what the terminal shows.
 */
import { readFileSync } from "node:fs";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { journalName } from "../../learning/loop/journal.ts";
import { sleep, systemClock } from "../../std/clock.ts";
import { createRandom } from "../../std/random.ts";
import { entryWords } from "../loop/journal-text.ts";
import { type Casting, type Play, rowFiles } from "./scenes.ts";
import { judgeName } from "./shadow.ts";
import { type CallResult, sendTraffic } from "./traffic.ts";

export interface TurnReport {
  /** How the loop ended its turn: "kept", "taken back", "refused" … */
  readonly done: string;
  /** What answered last. */
  readonly artifact: string;
  /** Meanwhile. */
  readonly calls: number;
  readonly failed: number;
  /** Calls by the release that answered them; "none" for the static strategy. */
  readonly answered: Readonly<Record<string, number>>;
  /** What the gate said. */
  readonly gate: { readonly passed: boolean; readonly reason: string };
  /** Answers that the judge graded for it. */
  readonly labelled: number;
  readonly seconds: number;
  readonly slowestMs: number;
  /** What a failed call said, if any failed. */
  readonly firstError?: string;
}

/** Few, so that training has a processor to itself on a machine with two. */
const liveConcurrency = 2;
/** A user thinks for so long between two questions: some fifty come in a second. */
const thinkMs = 30;
/** Who say what they think of an answer. */
const feedbackShare = 0.15;
/** A prime, so that nobody asks the same again: that would be heard as a complaint. */
const users = 397;
const journalEveryMs = 100;
/** Labels beyond those of the first turn that make a second worth it. */
const minNew = 20;
/** Of the judge, in simulated dollars: some fifty answers. */
const judgeBudgetUsd = 0.1;

export interface TurnPlan {
  readonly rows: keyof typeof rowFiles;
  /** The judge grades answers of the traffic before training. */
  readonly judged: boolean;
}

/** One turn of the loop, while users go on asking and saying what they think. */
export async function sceneTurn(
  play: Play,
  { meanwhile }: Casting,
  { rows, judged }: TurnPlan,
): Promise<TurnReport> {
  const { stage, out, seed, signal } = play;
  const startedMs = performance.now();
  const { calls, end } = keepAsking(play, meanwhile);
  try {
    const args = [
      ...["loop", "--once", "--data", stage.path(rowFiles[rows])],
      ...["--holdout", stage.path(rowFiles.heldOut), "--repository", stage.repository],
      ...["--key", stage.path("keys"), "--gateway", stage.url, "--data-dir", stage.path("data")],
      ...["--seed", String(seed), "--min-new", String(minNew)],
      ...(judged ? ["--judge", judgeName, "--budget", String(judgeBudgetUsd)] : []),
    ];
    out.line(`$ routeiq ${args.join(" ").replaceAll(`${stage.folder}/`, "")}`);
    const journal = readJournal(stage.path(`data/loop/${journalName}`));
    let ended = false;
    const turn = stage.run(...args, "--json").finally(() => {
      ended = true;
    });
    turn.catch(() => undefined); // told below; until then it must not count as unhandled
    const told: JsonObject[] = [];
    const tell = () => {
      for (const entry of journal()) {
        told.push(entry);
        const line = journalLine(entry);
        if (line) out.line(line);
      }
    };
    for (; !ended; tell()) await sleep(systemClock, journalEveryMs, signal);
    const answer: unknown = JSON.parse((await turn).trim().split("\n").at(-1) ?? "");
    tell();
    await sleep(systemClock, 300, signal);
    await end();
    const done = isObject(answer) ? String(answer["done"]) : "";
    return toReport({ done, told, calls, seconds: (performance.now() - startedMs) / 1000 });
  } finally {
    await end();
  }
}

/** Traffic with feedback until it is ended. @throws from `end` what went wrong with it */
function keepAsking({ target, signal, seed }: Play, prompts: Casting["meanwhile"]) {
  const enough = new AbortController();
  const calls: CallResult[] = [];
  const feedback = { share: feedbackShare, random: createRandom(seed + 3) };
  let asked = 0;
  const loop = async () => {
    while (!enough.signal.aborted) {
      await sendTraffic(prompts, target, {
        model: "auto",
        concurrency: liveConcurrency,
        signal,
        feedback,
        thinkMs,
        nextUser: () => `user-${asked++ % users}`,
        enough: enough.signal,
        onResult: (result) => calls.push(result),
      });
    }
  };
  const load = loop();
  load.catch(() => undefined); // told by `end`
  const end = async () => {
    enough.abort();
    await load;
  };
  return { calls, end };
}

/** Gives what was added since it was asked last. */
function readJournal(path: string): () => readonly JsonObject[] {
  const lines = () => {
    try {
      return readFileSync(path, "utf8").split("\n").slice(0, -1);
    } catch {
      return []; // the first turn has not begun it yet
    }
  };
  let read = lines().length;
  return () => {
    const all = lines();
    const added = all.slice(read).map((line): unknown => JSON.parse(line));
    read = all.length;
    return added.filter(isObject);
  };
}

/** A journal's entry as the terminal shows it; undefined for one that says nothing new. */
export function journalLine(entry: JsonObject): string | undefined {
  if (entry["event"] === "training") return undefined;
  // There is one gateway: its address need not be said.
  const words = entryWords(entry).replace(/^http\S+: /, "");
  return `   ${String(entry["event"]).padEnd(11)}${words}`;
}

function countLabelled(told: readonly JsonObject[]): number {
  return told
    .flatMap(({ event, labelled }) =>
      event === "labelled" && Array.isArray(labelled) ? labelled.filter(isObject) : [],
    )
    .reduce((sum, one) => sum + (Number(one["labelled"]) || 0), 0);
}

function toReport(what: {
  readonly done: string;
  readonly told: readonly JsonObject[];
  readonly calls: readonly CallResult[];
  readonly seconds: number;
}): TurnReport {
  const { done, told, calls, seconds } = what;
  const failed = calls.filter(({ status }) => status !== 200);
  const answered: Record<string, number> = {};
  for (const { artifact } of calls) answered[artifact] = (answered[artifact] ?? 0) + 1;
  const gate = told.find(({ event }) => event === "trained")?.["gate"];
  const firstError = failed[0]?.error;
  return {
    done,
    artifact: calls.at(-1)?.artifact ?? "none",
    calls: calls.length,
    failed: failed.length,
    answered,
    gate: isObject(gate)
      ? { passed: gate["passed"] === true, reason: String(gate["reason"]) }
      : { passed: false, reason: "there was no training" },
    labelled: countLabelled(told),
    seconds,
    slowestMs: Math.max(0, ...calls.map(({ latencyMs }) => latencyMs)),
    ...(firstError === undefined ? {} : { firstError }),
  };
}
