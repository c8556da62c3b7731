/**
 * Calls under overload: where all that could serve a call is at its limit, or the gateway itself is,
 * the call waits for its turn by its priority, or is sent away. There only where it is configured.
 */
import type { Call } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import type { Pool } from "../routing/pool.ts";
import type { Ranking } from "../routing/ranking.ts";
import { Cancel } from "../std/cancel.ts";
import type { Clock } from "../std/clock.ts";
import type { Abortable } from "./activity.ts";
import type { CallRecord } from "./record.ts";
import { select, toRankRequest } from "./select.ts";
import type { Admission, Services } from "./services.ts";
import { createWaitingRoom, overloaded } from "./waiting-room.ts";

export interface AdmissionControl extends Admission {
  /** A call ended, whichever way. */
  left(call: Abortable): void;
  /** Calls sent away since the start. */
  readonly shed: number;
  /** Takes limits into force. */
  follow(settings: AdmissionSettings): void;
}

export interface AdmissionSettings {
  /** Calls in the gateway at once; undefined: as many as come. */
  readonly maxCalls?: number;
  /** Calls that may wait. 0: none does. */
  readonly maxQueued: number;
  readonly maxWaitMs: number;
  /** Of calls that name none. Lower is sooner. */
  readonly defaultPriority: number;
}

/** Whether there is anything to wait for, or for the gateway to refuse. */
export function needsAdmission({ maxCalls, maxQueued }: AdmissionSettings): boolean {
  return maxCalls !== undefined || maxQueued > 0;
}

/** The gateway itself, among the keys that calls wait for. No deployment's id is empty. */
const gatewayKey = "";

export function createAdmission(
  initial: AdmissionSettings,
  { pool, clock }: { readonly pool: Pool; readonly clock: Clock },
): AdmissionControl {
  let settings = initial;
  const room = createWaitingRoom(settings.maxQueued, clock);
  /** Calls that run, where their number is limited. */
  const running = new Set<Abortable>();

  const isFull = () => settings.maxCalls !== undefined && running.size >= settings.maxCalls;

  async function waitFor(
    keys: readonly string[],
    { call, record, number }: Arrived,
  ): Promise<void> {
    const nowMs = clock.now();
    const leftMs = (call.deadlineMs ?? Number.POSITIVE_INFINITY) - nowMs;
    const waiting = room.wait({
      keys,
      number,
      priority: priorityOf(call, settings.defaultPriority),
      limitMs: Math.max(0, Math.min(settings.maxWaitMs, leftMs)),
      tooLate: () => (leftMs < settings.maxWaitMs ? deadlinePassed() : waitedLong(settings)),
    });
    const cancel = new Cancel();
    record.hold(cancel);
    cancel.listen(waiting.leave);
    try {
      await waiting.turn;
    } finally {
      cancel.listen(undefined);
      record.queuedMs += clock.now() - nowMs;
    }
  }

  /** What a choice that failed waits for; undefined where waiting would not help. */
  function fullOnes(thrown: unknown, { call, services }: Arrived): readonly string[] | undefined {
    if (!(thrown instanceof GatewayError) || thrown.code !== "no_deployment") return undefined;
    const { deployments } = toRankRequest(call, call.requestedModel, services).resolution;
    if (settings.maxQueued === 0 || !deployments.some(pool.isFull)) return undefined;
    return deployments.map(({ id }) => id);
  }

  async function waitAndRank(arrived: Arrived, first: unknown): Promise<Ranking> {
    const { call, record, services } = arrived;
    for (let thrown = first; ; ) {
      const keys = fullOnes(thrown, arrived);
      if (!keys) throw thrown;
      await waitFor(keys, arrived);
      try {
        return await select(call, record, services);
      } catch (again) {
        thrown = again;
      }
    }
  }

  function rankNow(arrived: Arrived): Ranking | Promise<Ranking> {
    const { call, record, services } = arrived;
    try {
      const ranked = select(call, record, services);
      if (!(ranked instanceof Promise)) return ranked;
      return ranked.catch((thrown: unknown) => waitAndRank(arrived, thrown));
    } catch (thrown) {
      return waitAndRank(arrived, thrown);
    }
  }

  async function enterAndRank(arrived: Arrived): Promise<Ranking> {
    while (isFull()) await waitFor([gatewayKey], arrived);
    running.add(arrived.record);
    return rankNow(arrived);
  }

  return {
    get waiting() {
      return room.length;
    },
    get shed() {
      return room.shed;
    },
    rank(call, record, services) {
      const arrived = { call, record, services, number: room.takeNumber() };
      if (isFull()) return enterAndRank(arrived);
      if (settings.maxCalls !== undefined) running.add(record);
      return rankNow(arrived);
    },
    left(call) {
      if (!running.delete(call)) return;
      room.freed(gatewayKey, (settings.maxCalls ?? Number.POSITIVE_INFINITY) - running.size);
    },
    follow(next) {
      settings = next;
      room.limitTo(next.maxQueued);
      if (next.maxCalls === undefined) room.freed(gatewayKey, Number.POSITIVE_INFINITY);
      pool.tellOfRoom(needsAdmission(next) ? room.freed : undefined);
    },
  };
}

interface Arrived {
  readonly call: Call;
  readonly record: CallRecord;
  readonly services: Services;
  /** Its place among equals. */
  readonly number: number;
}

/** By header, else in the body: LiteLLM's `priority`. What is no whole number counts as not given. */
function priorityOf({ headers, body }: Call, otherwise: number): number {
  const given =
    headers.get("x-routeiq-priority") ?? headers.get("x-litellm-priority") ?? body["priority"];
  const priority = typeof given === "string" && given.trim() !== "" ? Number(given) : given;
  return Number.isSafeInteger(priority) ? Number(priority) : otherwise;
}

function waitedLong({ maxWaitMs }: AdmissionSettings): GatewayError {
  return overloaded(`none was free within ${Number((maxWaitMs / 1000).toFixed(1))} s`, 1);
}

function deadlinePassed(): GatewayError {
  return new GatewayError(
    "deadline_exceeded",
    "The deadline that the request set passed while it waited for its turn.",
  );
}
