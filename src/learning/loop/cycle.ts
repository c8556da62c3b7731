/**
 * One turn of the loop: observe → label → train → gate → sign → publish → watch → keep or take back.
 * Each step is told before it begins and written down when it is done, so that a kill at any point
 * costs the step and nothing else: what was published is seen in the repository, not remembered.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { Journal, LoopState } from "./journal.ts";

export interface Observed {
  readonly calls: number;
  /** Calls of which something is known: feedback, a judge's word, a failure. */
  readonly labelled: number;
}

export interface TrainedRouter {
  readonly folder: string;
  readonly strategy: string;
  readonly gate: { readonly passed: boolean; readonly reason: string };
}

export interface ReleaseId {
  readonly version: number;
  readonly sha256: string;
}

/** How the gateways do with a release, all of them together. */
export type Standing =
  | { readonly state: "under way"; readonly detail: string }
  | { readonly state: "in force"; readonly detail: string }
  | { readonly state: "taken back"; readonly detail: string };

/** What the loop has done for it. Each may be asked again after a kill, and does no harm by it. */
export interface LoopSteps {
  observe(): Promise<Observed>;
  /** Undefined where no judge is configured. */
  readonly label?: () => Promise<JsonObject>;
  train(cycle: number): Promise<TrainedRouter>;
  /** Whether a router that was trained before is still where it was: a disk may be gone with its pod. */
  isThere(folder: string): Promise<boolean>;
  /** The release in force in the repository, if any. */
  inForce(): Promise<ReleaseId | undefined>;
  sign(folder: string): Promise<ReleaseId>;
  publish(folder: string): Promise<void>;
  /** Undefined where no gateway is named: then a release is in force once it is published. */
  readonly watch?: (release: ReleaseId) => Promise<Standing>;
  takeBack(to: number): Promise<ReleaseId>;
}

export interface LoopRules {
  /** Labelled calls beyond those of the last training before another is worth it. */
  readonly minNew: number;
  /** There are rows beside the traffic: the first turn need not wait for it. */
  readonly hasData: boolean;
  /** A release that no gateway has judged for so long is left to the operator. */
  readonly watchMs: number;
  readonly dryRun: boolean;
}

export type Turn =
  | { readonly done: "waiting"; readonly why: string }
  | { readonly done: "refused"; readonly why: string }
  | { readonly done: "kept" | "taken back" | "given up"; readonly release: ReleaseId }
  | { readonly done: "dry run"; readonly why: string };

export interface TurnOptions {
  readonly steps: LoopSteps;
  readonly journal: Journal;
  readonly rules: LoopRules;
  readonly nowMs: () => number;
  /** Waits between two looks at the gateways, of which there were so many. @throws the signal's reason */
  readonly pause: (looks: number) => Promise<void>;
  readonly signal: AbortSignal;
}

/** @throws what a step throws; the state stays at the last one that was done */
export async function turn(options: TurnOptions): Promise<Turn> {
  const { journal, rules } = options;
  const { state } = journal;
  if (rules.dryRun && state.phase !== "idle") return { done: "dry run", why: nextStep(state) };
  if (state.phase === "idle") {
    const waiting = await observeAndLabel(options);
    if (waiting) return waiting;
  }
  await findRouter(options);
  if (journal.state.phase === "labelled") {
    const refused = await trainAndJudge(options);
    if (refused) return refused;
  }
  if (journal.state.phase === "trained") await sign(options);
  if (journal.state.phase === "signed") await publish(options);
  return watch(options);
}

async function observeAndLabel({ steps, journal, rules }: TurnOptions): Promise<Turn | undefined> {
  const { state } = journal;
  const before = await steps.observe();
  // A dry run plans, asks nobody, and so has nothing new to count.
  if (steps.label) await journal.tell(rules.dryRun ? "plan" : "labelled", await steps.label());
  const { calls, labelled } = steps.label && !rules.dryRun ? await steps.observe() : before;
  // Fewer than were learnt from: it is another log, all of which is new.
  const fresh = labelled < state.learntFrom ? labelled : labelled - state.learntFrom;
  if (fresh < rules.minNew && !(rules.hasData && state.cycle === 0)) {
    const why = `${fresh} new labelled calls, of ${calls} in all; training waits for ${rules.minNew}`;
    await journal.tell("waiting", { calls, labelled, why });
    return { done: "waiting", why };
  }
  await journal.move({
    cycle: state.cycle + 1,
    phase: "labelled",
    learntFrom: labelled,
    failures: 0,
  });
  await journal.tell("observed", { calls, labelled, new: fresh });
  return undefined;
}

async function trainAndJudge({ steps, journal, rules }: TurnOptions): Promise<Turn | undefined> {
  const { state } = journal;
  await journal.tell("training", {});
  const { folder, strategy, gate } = await steps.train(state.cycle);
  await journal.tell("trained", { strategy, folder, gate: { ...gate } });
  if (rules.dryRun || !gate.passed) {
    await journal.move(idle(state));
    const why = gate.reason;
    if (!rules.dryRun) return { done: "refused", why };
    const would = gate.passed ? "it would be signed and published" : "the gate would refuse it";
    return { done: "dry run", why: `${would}: ${why}` };
  }
  await journal.move({ ...state, phase: "trained", folder });
  return undefined;
}

/** What was trained or signed on a disk that is gone is made anew; unless it is in force by now. */
async function findRouter({ steps, journal }: TurnOptions): Promise<void> {
  const { state } = journal;
  const { phase, folder = "", cycle, learntFrom, failures } = state;
  if (phase !== "trained" && phase !== "signed") return;
  if (await steps.isThere(folder)) return;
  const inForce = phase === "signed" ? await steps.inForce() : undefined;
  if (inForce && inForce.sha256 === state.release?.sha256) return;
  await journal.tell("lost", { folder, why: `${folder} is gone: the router is trained anew` });
  await journal.move({ cycle, phase: "labelled", learntFrom, failures });
}

/** What a turn would go on with. */
function nextStep({ cycle, phase, release, folder }: LoopState): string {
  const version = release ? ` release ${release.version}` : "";
  const next = {
    idle: "observe",
    labelled: "train",
    trained: `sign and publish ${folder ?? ""}`,
    signed: `publish${version}`,
    published: `watch${version}`,
  }[phase];
  return `cycle ${cycle} is under way, its next step: ${next}`;
}

async function sign({ steps, journal }: TurnOptions): Promise<void> {
  const { state } = journal;
  const before = await steps.inForce();
  const release = await steps.sign(folderOf(state));
  await journal.tell("signed", { ...release });
  const known = before ? { before: before.version } : {};
  await journal.move({ ...state, phase: "signed", release, ...known });
}

/** A release that is in force already was published before a kill. */
async function publish({ steps, journal, signal, nowMs }: TurnOptions): Promise<void> {
  const { state } = journal;
  const { release } = state;
  const inForce = await steps.inForce();
  if (inForce?.sha256 !== release?.sha256) {
    signal.throwIfAborted(); // whoever leads now publishes, if anybody does
    await steps.publish(folderOf(state));
  }
  await journal.tell("published", { ...(release ?? {}) });
  await journal.move({ ...state, phase: "published", publishedMs: nowMs() });
}

async function watch(options: TurnOptions): Promise<Turn> {
  const { steps, journal, rules, nowMs } = options;
  const { state } = journal;
  const release = releaseOf(state);
  const conclude = async (done: "kept" | "taken back" | "given up", facts: JsonObject) => {
    await journal.tell(done, { ...release, ...facts });
    await journal.move(idle(state));
    return { done, release } as const;
  };
  if (!steps.watch) return conclude("kept", { why: "no gateway is named to be watched" });
  let told = "";
  for (let looks = 1; ; looks++) {
    options.signal.throwIfAborted();
    const standing = await steps.watch(release);
    if (standing.detail !== told) await journal.tell("watching", { detail: standing.detail });
    told = standing.detail;
    if (standing.state === "in force") return conclude("kept", { why: standing.detail });
    if (standing.state === "taken back") {
      const back = await takeBack(options, standing.detail);
      return conclude("taken back", { why: standing.detail, ...back });
    }
    if (nowMs() - (state.publishedMs ?? 0) > rules.watchMs) {
      return conclude("given up", { why: `no verdict in time: ${standing.detail}` });
    }
    await options.pause(looks);
  }
}

/** What one gateway took back, no other should take up: what was in force before is published anew. */
async function takeBack({ steps, journal }: TurnOptions, why: string): Promise<JsonObject> {
  const { before } = journal.state;
  const inForce = await steps.inForce();
  if (before === undefined || inForce?.sha256 !== releaseOf(journal.state).sha256) return {};
  await journal.tell("taking back", { to: before, why });
  const { version } = await steps.takeBack(before);
  return { in_force: version };
}

function folderOf({ folder }: LoopState): string {
  if (folder !== undefined) return folder;
  throw new Error("the loop's state has no folder of a router");
}

function releaseOf({ release }: LoopState): ReleaseId {
  if (release) return release;
  throw new Error("the loop's state has no release");
}

const idle = ({ cycle, learntFrom }: LoopState): LoopState => ({
  cycle,
  phase: "idle",
  learntFrom,
  failures: 0,
});
