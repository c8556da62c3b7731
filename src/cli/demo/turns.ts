/**
 * The demo's scenes of learning: `routeiq loop --once`, as an operator would run it, beside traffic
 * that goes on. What it says of itself in its journal is what the terminal shows.
 */
import { readFileSync } from "node:fs";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { journalName } from "../../learning/loop/journal.ts";
import { sleep, systemClock } from "../../std/clock.ts";
import { createRandom } from "../../std/random.ts";
import { type Casting, type Play, rowFiles } from "./scenes.ts";
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
  readonly seconds: number;
  readonly slowestMs: number;
  /** What a failed call said, if any failed. */
  readonly firstError?: string;
}

/** Few, so that training has a processor to itself on a machine with two. */
const liveConcurrency = 2;
/** These users ask much and seldom say what they think. */
const feedbackShare = 0.03;
const journalEveryMs = 100;
/** Labels beyond those of the first turn that make a second worth it. */
const minNew = 5;

/** One turn of the loop, while users go on asking and saying what they think. */
export async function sceneTurn(
  play: Play,
  { before }: Casting,
  rows: keyof typeof rowFiles,
): Promise<TurnReport> {
  const { stage, out, seed, signal } = play;
  const startedMs = performance.now();
  const { calls, end } = keepAsking(play, before);
  try {
    const args = [
      ...["loop", "--once", "--data", stage.path(rowFiles[rows])],
      ...["--holdout", stage.path(rowFiles.heldOut), "--repository", stage.repository],
      ...["--key", stage.path("keys"), "--gateway", stage.url, "--data-dir", stage.path("data")],
      ...["--seed", String(seed), "--min-new", String(minNew)],
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
function keepAsking({ target, signal, seed }: Play, prompts: Casting["before"]) {
  const enough = new AbortController();
  const calls: CallResult[] = [];
  const feedback = { share: feedbackShare, random: createRandom(seed + 3) };
  const loop = async () => {
    while (!enough.signal.aborted) {
      await sendTraffic(prompts, target, {
        model: "auto",
        concurrency: liveConcurrency,
        signal,
        feedback,
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
  const { event, calls, labelled, strategy, gate, version, detail, why } = entry;
  const line = (text: string) => `   ${String(event).padEnd(11)}${text}`;
  if (event === "observed") return line(`${calls} calls, ${labelled} with a label`);
  if (event === "trained" && isObject(gate)) {
    const says = gate["passed"] === true ? "the gate passes it" : "the gate refuses it";
    return line(`${strategy}; ${says}: ${gate["reason"]}`);
  }
  if (event === "signed" || event === "published") return line(`release ${version}`);
  if (event === "watching") return line(String(detail).replace(/^\S+: /, ""));
  if (event === "training") return undefined;
  return line(String(why ?? entry["message"] ?? "").replace(/^\S+: /, ""));
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
    seconds,
    slowestMs: Math.max(0, ...calls.map(({ latencyMs }) => latencyMs)),
    ...(firstError === undefined ? {} : { firstError }),
  };
}
