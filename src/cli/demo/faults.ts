/** Faults that a simulated provider can be told to show, for the tests of everything above it. */

export interface Fault {
  /** Answers with this status and `body` (an error of the dialect where missing). */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Waits before the headers. */
  readonly delayMs?: number;
  /** Never answers: no headers come. */
  readonly hang?: boolean;
  /** Waits after the headers, before the first token. */
  readonly firstTokenDelayMs?: number;
  /** Waits before each event of a stream. */
  readonly dripMs?: number;
  /** Ends a stream after so many events: no finish reason, no terminator. */
  readonly truncateAfter?: number;
  /** Stops sending after so many events, with the connection open. */
  readonly stallAfter?: number;
  /** Breaks the connection after so many events. */
  readonly resetAfter?: number;
  /** Sends an in-band error of the dialect after so many events. */
  readonly errorAfter?: number;
  /** 200 with bytes that are no reply of the dialect. */
  readonly garbage?: boolean;
}

/** Faults for the requests to come: each of `next` serves one request; then `always`, if set. */
export interface FaultPlan {
  next(...faults: readonly (Fault | undefined)[]): void;
  always(fault: Fault | undefined): void;
  take(): Fault | undefined;
}

/** Faults that may wait at once; a test that scripts more has lost count. */
const maxScripted = 10_000;

export function createFaultPlan(): FaultPlan {
  const queue: (Fault | undefined)[] = [];
  let standing: Fault | undefined;
  return {
    next(...faults) {
      if (queue.length + faults.length > maxScripted) {
        throw new RangeError(`more than ${maxScripted} scripted faults`);
      }
      queue.push(...faults);
    },
    always(fault) {
      standing = fault;
    },
    take: () => (queue.length > 0 ? queue.shift() : standing),
  };
}
