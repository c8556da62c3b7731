/**
 * Responses made in the background by models whose provider has no such thing: the call runs without
 * its caller, its state is in the store. A job holds a lease on its row; where the lease ends without
 * the job, its process is gone and the response has failed.
 */
import { toResponse, toResponseError } from "../../dialects/openai-responses/response.ts";
import { lastEvents } from "../../dialects/openai-responses/wire.ts";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { CallFailed, run } from "../../pipeline/handle.ts";
import { CallRecord } from "../../pipeline/record.ts";
import { isWhole, type Reply, type ReplyStream, toAnswer } from "../../pipeline/reply.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Clock } from "../../std/clock.ts";
import { createSseParser } from "../../std/sse.ts";
import type { ResponseStore } from "../../storage/response-store.ts";
import { createEventList, type EventList } from "./event-list.ts";
import { parseWhole, responseIn, toStored } from "./keep.ts";
import type { Turn } from "./turn.ts";

const firstEvents: ReadonlySet<string> = new Set(["response.created", "response.in_progress"]);

export const leaseMs = 15_000;
const renewEveryMs = 5_000;

export interface Job {
  /** Where it streams: its events so far and to come. */
  readonly events: EventList | undefined;
  /** Ends it; its response becomes "cancelled". */
  cancel(): void;
  /** Resolves when its response is stored as it ended. */
  readonly done: Promise<void>;
}

export interface Jobs {
  find(id: string): Job | undefined;
  /** Answers at once: the response as queued, or its stream. @throws GatewayError overloaded */
  start(turn: Turn, services: Services): Promise<Reply>;
}

export function createJobs(store: ResponseStore, clock: Clock): Jobs {
  const jobs = new Map<string, Job>();

  async function start(turn: Turn, services: Services): Promise<Reply> {
    const { maxBackground } = services.config.routeiq.responses;
    if (jobs.size >= maxBackground) throw tooMany(maxBackground);
    const record = new CallRecord(turn.call);
    const queued = toState(turn, "queued");
    const job = createJob(turn, services);
    for (const type of ["response.created", "response.queued"]) {
      job.events?.tell(type, { response: queued });
    }
    jobs.set(turn.id, job);
    void job.done.finally(() => jobs.delete(turn.id));
    const stored = toStored(queued, turn, record);
    try {
      if (stored) await store.put(stored);
    } catch (thrown) {
      job.cancel();
      throw thrown;
    } finally {
      job.begin();
    }
    return { record, body: job.events?.read(-1) ?? JSON.stringify(queued) };
  }

  function createJob(turn: Turn, services: Services): Job & { begin(): void } {
    const controller = new AbortController();
    const events = turn.call.stream ? createEventList() : undefined;
    const begun = Promise.withResolvers<void>();
    let cancelled = false;
    const cancel = () => {
      cancelled = true;
      controller.abort();
    };
    const work = async () => {
      await begun.promise;
      const call = { ...turn.call, signal: controller.signal };
      const endLease = holdLease(turn.id, cancel, services);
      try {
        await finish({ ...turn, call }, events, () => cancelled, services);
      } finally {
        endLease();
        events?.end();
      }
    };
    const done = work().catch(services.onInternalFailure);
    return { events, cancel, done, begin: begun.resolve };
  }

  /** Runs the call and stores what came of it, whatever that is. */
  async function finish(
    turn: Turn,
    events: EventList | undefined,
    isCancelled: () => boolean,
    services: Services,
  ): Promise<void> {
    const record = new CallRecord(turn.call);
    const update = async (response: JsonObject, of: Reply["record"]) => {
      const stored = toStored(response, turn, of);
      if (stored) await store.update(stored);
    };
    const giveUp = async (response: JsonObject, of: Reply["record"]) => {
      await update(response, of);
      events?.tell("response.failed", { response });
    };
    if (isCancelled()) {
      await giveUp(toState(turn, "cancelled"), record);
      return;
    }
    const conclude = async (response: JsonObject, of: Reply["record"]) => {
      await update(response, of);
      events?.tell(`response.${String(response["status"])}`, { response });
    };
    const begun = toState(turn, "in_progress");
    await update(begun, record);
    events?.tell("response.in_progress", { response: begun });
    await store.renew({ id: turn.id, untilMs: clock.now() + leaseMs });
    try {
      const reply = await run(turn.call, services);
      const { body } = reply;
      const told = isWhole(body) ? parseWhole(body) : await readAlong(body, events);
      if (isCancelled())
        await giveUp(asCancelled(told ?? toState(turn, "cancelled")), reply.record);
      else if (told) await conclude(told, reply.record);
      else await giveUp(toState(turn, "failed", brokenOff()), reply.record);
    } catch (thrown) {
      const error = thrown instanceof CallFailed ? thrown.error : toGatewayError(thrown);
      if (!(thrown instanceof CallFailed)) services.onInternalFailure(thrown);
      const state = isCancelled() ? toState(turn, "cancelled") : toState(turn, "failed", error);
      await giveUp(state, record);
    }
  }

  /** Says from time to time that the job runs, and hears whether it should. */
  function holdLease(id: string, cancel: () => void, { onInternalFailure }: Services): () => void {
    let stopTimer = clock.after(renewEveryMs, renew);
    let ended = false;
    async function renew(): Promise<void> {
      try {
        const answer = await store.renew({ id, untilMs: clock.now() + leaseMs });
        if (answer === "stop") cancel();
      } catch (thrown) {
        onInternalFailure(thrown); // the lease may outlast the trouble: the next time tells
      }
      if (!ended) stopTimer = clock.after(renewEveryMs, renew);
    }
    return () => {
      ended = true;
      stopTimer();
    };
  }

  return { find: (id) => jobs.get(id), start };
}

/**
 * Reads a stream to its end and passes its events on, but for those of its beginning, which were
 * told, and the last, which is told once it is stored. Answers the last response.
 */
async function readAlong(
  stream: ReplyStream,
  events: EventList | undefined,
): Promise<JsonObject | undefined> {
  const parser = createSseParser();
  let last: JsonObject | undefined;
  for (;;) {
    const bytes = await stream.next();
    const frames = bytes ? parser.push(bytes) : parser.end();
    for (const frame of frames) {
      if (lastEvents.has(frame.event)) last = responseIn(frame, true);
      else if (!firstEvents.has(frame.event) && frame.data !== "") {
        const body: unknown = JSON.parse(frame.data);
        if (isObject(body)) events?.tell(frame.event, body);
      }
    }
    if (!bytes) return last;
  }
}

/** A response that has said nothing yet, or will not any more. */
export function toState(
  { call, id }: Turn,
  status: "queued" | "in_progress" | "cancelled" | "failed",
  error?: GatewayError,
): JsonObject {
  const createdS = Math.floor(call.startedAtMs / 1000);
  const parts = { id, createdS, model: call.requestedModel, status, output: [] };
  const failure = error ? { error: toResponseError(error) } : {};
  return toResponse({ ...parts, ...failure }, toAnswer(call));
}

const asCancelled = (response: JsonObject): JsonObject => ({
  ...response,
  status: "cancelled",
  error: null,
});

function brokenOff(): GatewayError {
  return new GatewayError("stream_truncated", "The response broke off before it was whole.");
}

function tooMany(limit: number): GatewayError {
  return new GatewayError(
    "overloaded",
    `${limit} responses are under way in the background, which is the limit (routeiq_settings.responses.max_background). Try again later.`,
    { retryAfterS: 5 },
  );
}
