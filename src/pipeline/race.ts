/** Attempts of one call beside each other (`hedging.ts` says when): the first answer is the answer. */
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import { Cancel } from "../std/cancel.ts";
import type { Clock } from "../std/clock.ts";
import type { Hedging } from "./hedging.ts";
import type { CallRecord } from "./record.ts";
import type { Reply } from "./reply.ts";
import type { Because } from "./run.ts";
import { letGo, type Run } from "./run.ts";

/** Attempts of one call that run at once. The first that has an answer claims it for the call. */
export class Race {
  readonly #runs: Run[] = [];
  readonly #record: CallRecord;
  readonly #hedging: Hedging;
  #winner: Run | undefined;

  constructor(record: CallRecord, hedging: Hedging) {
    this.#record = record;
    this.#hedging = hedging;
  }

  enter(run: Run): void {
    this.#runs.push(run);
    if (this.#runs.length === 1) return;
    // What ends the call ends all of them.
    const all = new Cancel();
    all.listen((reason) => {
      for (const { cancel } of this.#runs) cancel.cancel(reason);
    });
    this.#record.hold(all);
  }

  /** The answer is this run's: the others are written down and let go. @throws GatewayError superseded */
  claim(run: Run): void {
    if (this.#winner) throw superseded();
    this.#winner = run;
    for (const other of this.#runs) {
      if (other.over) continue;
      this.#hedging.sample(other.deployment, other.call.stream, tookMs(other));
      if (other !== run) letGo(other, superseded());
    }
    this.#record.deployment = run.deployment;
    this.#record.hold(run.cancel);
  }
}

function tookMs({ services, startedAtMs }: Run): number {
  return services.clock.now() - startedAtMs;
}

function superseded(): GatewayError {
  return new GatewayError("superseded", "Another attempt of the same call answered first.");
}

export interface Hedge {
  readonly first: Deployment;
  readonly delayMs: number;
  readonly race: Race;
  readonly clock: Clock;
  /** Another deployment for the second attempt, and the budget for it; undefined: none. */
  readonly other: () => Deployment | undefined;
  readonly run: (deployment: Deployment, because: Because, race: Race) => Promise<Reply>;
  /** Gets the ids of those that failed. */
  readonly failed: Set<string>;
}

/** @throws GatewayError the first attempt's, when none has answered. */
export function runHedged(hedge: Hedge): Promise<Reply> {
  const { first, delayMs, race, clock, other, run, failed } = hedge;
  return new Promise((resolve, reject) => {
    let running = 0;
    let failure: GatewayError | undefined;
    let cancelTimer: () => void = () => undefined;

    function begin(deployment: Deployment, because: Because): void {
      running++;
      run(deployment, because, race).then(
        (reply) => {
          cancelTimer();
          resolve(reply);
        },
        (thrown) => {
          cancelTimer();
          failed.add(deployment.id);
          running--;
          failure ??= toGatewayError(thrown);
          if (running === 0) reject(failure);
        },
      );
    }

    begin(first, "first");
    if (delayMs === Number.POSITIVE_INFINITY) return;
    cancelTimer = clock.after(delayMs, () => {
      const second = other();
      if (second) begin(second, "hedge");
    });
  });
}
