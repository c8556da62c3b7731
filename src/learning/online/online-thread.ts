/** Online learning in the background thread: outcomes in, states out, both kept on disk. */
import type { ExplorationSpend } from "../../routing/exploration-budget.ts";
import { type OnlineState, onlineInputs } from "../../routing/online.ts";
import { readSpend, readSums, sweep, writeSpend, writeState, writeSums } from "./online-files.ts";
import { createOnlineRegression, type OnlineRegression } from "./online-regression.ts";

export interface OnlineTarget {
  readonly dataDir: string;
  /** 1, or a worker's number. */
  readonly process: number;
  /** sha256 of the router that is corrected. */
  readonly artifact: string;
  readonly labels: number;
}

/** Outcomes, one after the other. */
export interface Outcomes {
  readonly labels: Uint16Array;
  /** n×inputs. */
  readonly inputs: Float32Array;
  /** Scores less the predictions. */
  readonly residuals: Float32Array;
}

/** The service `online` of the background thread. Each call says whom it means: a thread that was
 * started anew has forgotten. */
export interface OnlineService {
  /** What was learnt before, or nothing yet. */
  open(params: { readonly target: OnlineTarget }): Promise<OnlineState>;
  learn(params: {
    readonly target: OnlineTarget;
    readonly outcomes: Outcomes;
  }): Promise<OnlineState>;
  spent(params: {
    readonly dataDir: string;
    readonly process: number;
  }): Promise<ExplorationSpend | undefined>;
  keepSpend(params: {
    readonly dataDir: string;
    readonly process: number;
    readonly spend: ExplorationSpend;
  }): Promise<void>;
}

/** Ids of several processes never meet. */
const mostProcesses = 64;
const mostLearners = 4;

interface Learner {
  readonly regression: OnlineRegression;
  steps: number;
}

export function createOnlineThread(
  log: (level: "warn" | "error", message: string) => void,
): OnlineService {
  const learners = new Map<string, Learner>();
  let tail: Promise<unknown> = Promise.resolve();

  /** One after the other: two batches must not overtake each other on disk. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = tail.then(work, work);
    tail = next.catch(() => undefined); // whoever asked is told
    return next;
  }

  async function learnerOf(target: OnlineTarget): Promise<Learner> {
    const known = learners.get(target.artifact);
    if (known) return known;
    const kept = await readSums(target.dataDir, target);
    const learner = {
      regression: createOnlineRegression(target.labels, kept?.sums),
      steps: kept?.steps ?? 0,
    };
    learners.set(target.artifact, learner);
    if (learners.size > mostLearners) learners.delete(learners.keys().next().value ?? "");
    return learner;
  }

  async function publish(target: OnlineTarget, learner: Learner): Promise<OnlineState> {
    learner.steps++;
    const { steps } = learner;
    const posterior = learner.regression.posterior();
    const state: OnlineState = {
      id: steps * mostProcesses + (target.process - 1),
      artifact: target.artifact,
      mean: posterior.mean.slice(),
      covariance: posterior.covariance.slice(),
    };
    try {
      // The state first: what a receipt names must be there when it is asked for.
      await writeState(target.dataDir, state);
      await writeSums(target.dataDir, target, { steps, sums: learner.regression.sums });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log("error", `what was learnt online could not be kept: ${reason}`);
    }
    return state;
  }

  return {
    open: ({ target }) =>
      inTurn(async () => {
        const learner = await learnerOf(target);
        const state = await publish(target, learner);
        await sweep(target.dataDir, target.artifact);
        return state;
      }),
    learn: ({ target, outcomes }) =>
      inTurn(async () => {
        const learner = await learnerOf(target);
        const { labels, inputs, residuals } = outcomes;
        labels.forEach((label, i) => {
          if (label >= target.labels) return;
          const at = i * onlineInputs;
          const row = inputs.subarray(at, at + onlineInputs);
          learner.regression.learn(label, row, residuals[i] as number);
        });
        return await publish(target, learner);
      }),
    spent: ({ dataDir, process }) => inTurn(() => readSpend(dataDir, process)),
    keepSpend: ({ dataDir, process, spend }) => inTurn(() => writeSpend(dataDir, process, spend)),
  };
}
