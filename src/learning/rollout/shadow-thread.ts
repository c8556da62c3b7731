/** Scoring in the shadow, in the background thread: loads the staged release, sees all events pass. */
import type { CallEvent } from "../../domain/event.ts";
import type { Price } from "../../domain/usage.ts";
import type { Embedder } from "../../embedding/embedder.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import { type Emit, RpcError } from "../../std/rpc.ts";
import type { Candidate } from "../artifacts/source.ts";
import type { SourceConfig } from "../artifacts/thread.ts";
import { createShadowScorer, type ShadowScorer } from "./shadow.ts";

export interface ShadowStart {
  readonly config: SourceConfig;
  readonly version: number;
  readonly nowMs: number;
  readonly share: number;
  /** Of the serving thread: the release has passed its self-test with it. */
  readonly embedder: Pick<Embedder, "id" | "sha256" | "dimensions">;
  readonly labelMapping: Readonly<Record<string, string>>;
  readonly prices: Readonly<Record<string, Price>>;
}

/** The service `shadow`. Emits a `ShadowReport` as event "shadow" while it scores. */
export interface ShadowService {
  /** In the place of the one before. @throws RpcError where the release cannot be had or loaded */
  begin(start: ShadowStart): Promise<void>;
  end(): void;
}

export interface ShadowThread extends ShadowService {
  /** Takes what it can score later; costs a look at each. */
  addEvents(events: readonly CallEvent[]): void;
}

export interface ShadowThreadOptions {
  readonly emit: Emit;
  readonly clock: Clock;
  /** The staged release's verified copy. */
  readonly readStaged: (config: SourceConfig, nowMs: number) => Promise<Candidate | undefined>;
  readonly load: (candidate: Candidate, embedder: Embedder) => Promise<TrainedRouter>;
}

/** Decisions that wait to be scored; more than these are passed over and counted. */
export const queueLimit = 2_000;
/** Then others have their turn: the event log writes in this thread as well. */
const sliceUs = 5_000;
const reportEveryMs = 500;

interface Running {
  readonly router: TrainedRouter;
  readonly scorer: ShadowScorer;
  readonly queue: CallEvent[];
  draining: boolean;
  reportedMs: number;
}

export function createShadowThread(options: ShadowThreadOptions): ShadowThread {
  const { clock, emit } = options;
  let running: Running | undefined;
  let begun = 0;

  function end(): void {
    begun++;
    const ended = running;
    running = undefined;
    if (ended && !ended.draining) ended.router.close();
  }

  async function drain(now: Running): Promise<void> {
    now.draining = true;
    let sinceUs = clock.monotonicUs();
    while (running === now && now.queue.length > 0) {
      const event = now.queue.shift();
      if (event) await now.scorer.score(event);
      if (clock.monotonicUs() - sinceUs < sliceUs) continue;
      tell(now, false);
      await sleep(clock, 1);
      sinceUs = clock.monotonicUs();
    }
    now.draining = false;
    if (running === now) tell(now, true);
    else now.router.close();
  }

  function tell(now: Running, isIdle: boolean): void {
    const nowMs = clock.now();
    if (!isIdle && nowMs - now.reportedMs < reportEveryMs) return;
    now.reportedMs = nowMs;
    emit("shadow", now.scorer.report());
  }

  return {
    async begin({ config, version, nowMs, share, embedder, labelMapping, prices }) {
      end();
      const mine = begun;
      const candidate = await options.readStaged(config, nowMs);
      if (!candidate || candidate.identity.version !== version) {
        throw new RpcError("not_found", `release ${version} is not kept here`);
      }
      const router = await options.load(candidate, onlyItsName(embedder));
      if (mine !== begun) return router.close(); // another one began, or none is wanted any more
      const scorer = createShadowScorer({ router, share, labelMapping, prices, clock });
      running = { router, scorer, queue: [], draining: false, reportedMs: 0 };
    },
    end,
    addEvents(events) {
      if (!running) return;
      const { queue, scorer } = running;
      for (const event of events) {
        if (!scorer.wants(event)) continue;
        if (queue.length >= queueLimit) scorer.skip(1);
        else queue.push(event);
      }
      if (queue.length > 0 && !running.draining) void drain(running);
    },
  };
}

/** Nothing is embedded here: events bring their features. */
function onlyItsName(identity: ShadowStart["embedder"]): Embedder {
  const embed = () => {
    throw new Error("the shadow embeds nothing");
  };
  return { ...identity, sync: true, maxChars: 0, embed, close: () => undefined };
}
