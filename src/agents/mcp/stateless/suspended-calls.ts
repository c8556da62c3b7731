/**
 * Calls of callers of revision 2026-07-28 at servers with sessions. What such a server asks its client
 * while it works is the answer to the caller (`input_required`), and the call waits here until he comes
 * back with what was asked for. It waits in this process: another one does not know it.
 */
import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";
import type { Clock } from "../../../std/clock.ts";
import { sleep } from "../../../std/clock.ts";
import { rethrown } from "../mcp-error.ts";
import { ErrorCode } from "../sdk.ts";

/** What a call under way has of its client. */
export interface Talk {
  /** Of the whole call, whatever requests it is told in. */
  readonly signal: AbortSignal;
  ask(method: string, params: JsonObject, signal: AbortSignal): Promise<object>;
  onProgress(progress: JsonObject): void;
  onNotification(method: string, params: JsonObject): void;
}

/** One request of the caller's: the first, or one with answers. */
export interface Round {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: JsonObject) => void;
  readonly onNotification?: (method: string, params: JsonObject) => void;
}

export interface SuspendedCalls {
  /** The result, or the first question with the id of the call that waits for its answer. */
  begin(owner: string, round: Round, run: (talk: Talk) => Promise<JsonObject>): Promise<Turn>;
  /** Undefined where no call of this id waits for this owner. */
  resume(owner: string, id: string, responses: unknown, round: Round): Promise<Turn | undefined>;
  close(): void;
}

export type Turn =
  | { readonly result: JsonObject }
  | { readonly call: string; readonly asks: JsonObject };

const limits = {
  /** Calls that wait, of one caller and of all; the longest waiting one goes. */
  perOwner: 100,
  all: 1_000,
  /** Questions of one call. */
  questions: 32,
  /** How long a question may stay without an answer. */
  answerMs: 600_000,
  /** Questions that come so close together are told together. */
  gatherMs: 10,
} as const;

interface Question {
  readonly request: JsonObject;
  readonly resolve: (answer: object) => void;
}

interface Call {
  readonly id: string;
  readonly owner: string;
  readonly done: Promise<JsonObject>;
  readonly limit: AbortController;
  readonly questions: Map<string, Question>;
  asked: Promise<void>;
  round: Round | undefined;
  stopTimer: () => void;
}

export function createSuspendedCalls(clock: Clock): SuspendedCalls {
  const calls = new Map<string, Call>();

  function start(owner: string, round: Round, run: (talk: Talk) => Promise<JsonObject>): Call {
    const limit = new AbortController();
    const questions = new Map<string, Question>();
    let count = 0;
    let wake: () => void = () => undefined;
    const next = () => new Promise<void>((resolve) => (wake = resolve));
    const talk: Talk = {
      signal: limit.signal,
      ask(method, params, signal) {
        if (++count > limits.questions) {
          const message = `It asks its client more than ${limits.questions} times.`;
          return Promise.reject(rethrown(ErrorCode.InternalError, message));
        }
        const key = `question_${count}`;
        return new Promise((resolve, reject) => {
          questions.set(key, { request: { method, params }, resolve });
          const drop = () => {
            questions.delete(key);
            reject(signal.reason);
          };
          signal.addEventListener("abort", drop, { once: true });
          wake();
          call.asked = next();
        });
      },
      onProgress: (progress) => call.round?.onProgress?.(progress),
      onNotification: (method, params) => call.round?.onNotification?.(method, params),
    };
    const asked = next();
    const call: Call = {
      id: crypto.randomUUID(),
      owner,
      limit,
      questions,
      asked,
      round,
      done: Promise.resolve().then(() => run(talk)),
      stopTimer: () => undefined,
    };
    call.done.catch(() => undefined); // whoever comes back is told
    return call;
  }

  /** Until it has ended, or asks. Who hangs up meanwhile ends it. */
  async function follow(call: Call, round: Round): Promise<Turn> {
    call.round = round;
    const leave = () => call.limit.abort(round.signal.reason);
    round.signal.addEventListener("abort", leave, { once: true });
    try {
      const asked = call.questions.size > 0 ? Promise.resolve() : call.asked;
      const result = await Promise.race([call.done, asked]);
      if (result) return { result };
      await Promise.race([call.done.catch(() => undefined), sleep(clock, limits.gatherMs)]);
      if (call.questions.size === 0) return { result: await call.done }; // the server took it back
      return suspend(call);
    } finally {
      round.signal.removeEventListener("abort", leave);
      call.round = undefined;
    }
  }

  function suspend(call: Call): Turn {
    makeRoom(call.owner);
    calls.set(call.id, call);
    call.stopTimer = clock.after(limits.answerMs, () => drop(call, "nobody answered in time"));
    const asks = [...call.questions].map(([key, { request }]) => [key, request] as const);
    return { call: call.id, asks: Object.fromEntries(asks) };
  }

  function drop(call: Call, why: string): void {
    calls.delete(call.id);
    call.stopTimer();
    call.limit.abort(rethrown(ErrorCode.RequestTimeout, `The call was given up: ${why}.`));
  }

  function makeRoom(owner: string): void {
    const own = [...calls.values()].filter((call) => call.owner === owner);
    const oldest = own.length >= limits.perOwner ? own[0] : undefined;
    const first = calls.size >= limits.all ? calls.values().next().value : undefined;
    for (const call of [oldest, first]) if (call) drop(call, "too many wait for answers");
  }

  return {
    async begin(owner, round, run) {
      return await follow(start(owner, round, run), round);
    },
    async resume(owner, id, responses, round) {
      const call = calls.get(id);
      if (!call || call.owner !== owner) return undefined;
      calls.delete(id);
      call.stopTimer();
      for (const [key, answer] of entriesOf(responses)) {
        const question = call.questions.get(key);
        if (!question || !isObject(answer)) continue; // it is asked again
        call.questions.delete(key);
        question.resolve(answer);
      }
      return call.questions.size > 0 ? suspend(call) : await follow(call, round);
    },
    close() {
      for (const call of [...calls.values()]) drop(call, "the gateway ends");
    },
  };
}

function entriesOf(responses: unknown): readonly (readonly [string, Json | undefined])[] {
  return isObject(responses) ? Object.entries(responses) : [];
}
