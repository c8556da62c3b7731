/** What an attempt answered, as the reply of the call: whole, or a stream past its commit point. */
import type { Dialect } from "../dialects/dialect.ts";
import type { Call } from "../domain/call.ts";
import type { ChatRequest } from "../domain/chat.ts";
import { isObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import { costMicroUsd } from "../domain/usage.ts";
import type { RawReply, StreamReply, UpstreamReply } from "../providers/client.ts";
import { mergeStream, mergeWhole } from "../providers/merged-reasoning.ts";
import { asksForForm, formOfWhole, keepForForm } from "./check-form.ts";
import { createContinuedFeed, mayContinue } from "./continuation.ts";
import {
  createOpaqueFeed,
  createPassingFeed,
  createTranslatingFeed,
  type Feed,
  type FeedOptions,
} from "./feed.ts";
import { keepAwake } from "./keep-awake.ts";
import { finish } from "./observe.ts";
import type { Race } from "./race.ts";
import { contextOf, encodeWhole, type Reply, toAnswer } from "./reply.ts";
import { breakOff, callerGone, endsCall, estimate, type Run, succeed, writeDown } from "./run.ts";
import type { Services } from "./services.ts";
import { createReplyStream, readToCommit, type StreamEnd } from "./stream.ts";

export function takeWhole(upstream: UpstreamReply & { kind: "whole" }, run: Run): Reply {
  const { call, record, services, timers } = run;
  const shown = mergesReasoning(run) ? mergeWhole(upstream) : upstream;
  const body = encodeWhole(shown, record, run.callerDialect);
  if (services.checksForm && asksForForm(call)) record.form = formOfWhole(upstream, run);
  timers.stop();
  succeed(run);
  writeDown(run, "ok");
  finish(record, { outcome: "success" }, services);
  // A stream was asked for, and the provider answered whole.
  return call.stream ? { record, body, contentType: "application/json" } : { record, body };
}

export function takeRaw({ bytes, contentType, usage }: RawReply, run: Run): Reply {
  const { record, services, timers } = run;
  record.usage = usage;
  timers.stop();
  succeed(run);
  writeDown(run, "ok");
  finish(record, { outcome: "success" }, services);
  return { record, body: bytes, contentType };
}

export async function takeStream(
  upstream: StreamReply,
  run: Run,
  race: Race | undefined,
): Promise<Reply> {
  const { record, services } = run;
  /** The one that answers: another where a stream broke off and went on. */
  let current = run;
  const fed = toFeed(upstream, run, (next) => {
    current = next;
  });
  const watched =
    services.checksForm && !upstream.opaque && asksForForm(run.call) ? keepForForm(fed) : undefined;
  const feed = watched ?? fed;
  let held: Uint8Array[];
  try {
    held = await readToCommit(feed);
    race?.claim(run);
  } catch (thrown) {
    feed.close();
    throw thrown;
  }
  const abort = (reason: "gone" | "stalled") => current.cancel.cancel(callerGone(reason));
  const teller = upstream.opaque ? breaksOff : run.callerDialect;
  const stream = createReplyStream(held, feed, teller, abort, (end) => {
    record.usage = feed.facts.usage ?? estimate(current, feed.facts.tokens);
    record.finishReason = feed.facts.finishReason;
    if (!current.over) settle(current, end);
    const gone = end.error?.code === "caller_gone";
    if (!watched || end.outcome !== "success") {
      finish(record, gone ? { outcome: "cancelled" } : end, services);
      return;
    }
    watched.form(run).then((form) => {
      record.form = form;
      finish(record, end, services);
    }, services.onInternalFailure);
  });
  const { opaque } = upstream;
  const { keepaliveMs } = run.deployment;
  if (!opaque) {
    const body =
      keepaliveMs === undefined ? stream : keepAwake(stream, services.clock, keepaliveMs);
    return { record, body };
  }
  record.usage = opaque.usage; // known before the end, so that its price is among the headers
  return { record, body: stream, contentType: opaque.contentType };
}

/** The end of an attempt whose answer was a stream. */
function settle(run: Run, { outcome, error }: StreamEnd): void {
  run.timers.stop();
  if (outcome === "success") {
    succeed(run);
    writeDown(run, "ok");
  } else if (error && !endsCall(error)) breakOff(run, error);
  else {
    run.ticket.released();
    writeDown(run, "cancelled", error);
  }
}

/** Bytes have no place for an error's words. */
const breaksOff: Pick<Dialect, "encodeStreamError"> = {
  encodeStreamError(error) {
    throw error;
  },
};

function toFeed(upstream: StreamReply, run: Run, onSwitch: (next: Run) => void): Feed {
  const { call, callerDialect: caller, services, deployment } = run;
  if (upstream.opaque) return createOpaqueFeed(upstream, upstream.opaque.usage);
  const { continuation: settings } = services;
  const merges = mergesReasoning(run);
  if (settings && !merges && mayContinue(call)) {
    return createContinuedFeed(upstream, run, { options: optionsOf(run), settings, onSwitch });
  }
  const shown = merges ? mergeStream(upstream) : upstream;
  const options = optionsOf(run);
  if (shown.passes) return createPassingFeed(shown, options);
  const asked = { caller, request: caller.decodeRequest(call.body), answer: toAnswer(call) };
  return createTranslatingFeed(shown, asked, contextOf(call, deployment), options);
}

/** Other APIs have a place for reasoning, and an answer by schema is nothing but its JSON. */
function mergesReasoning({ call, deployment }: Run): boolean {
  if (!deployment.mergesReasoning || call.operation !== "chat") return false;
  if (call.dialect !== "openai-chat") return false;
  const format = call.body["response_format"];
  return !isObject(format) || format["type"] === "text";
}

function optionsOf(run: Run): FeedOptions {
  const { call, record, services, timers, deployment } = run;
  return {
    ...usageOptions(call, deployment, services),
    heard(token) {
      if (token && record.firstTokenMs === undefined) {
        const nowMs = services.clock.now();
        record.firstTokenMs = nowMs - call.startedAtMs;
        run.ticket.began((nowMs - run.startedAtMs) / 1000, run.ranking.inputTokens);
      }
      timers.heard(token);
    },
  };
}

/** What of a stream's usage its caller sees. */
export function usageOptions(
  call: Call,
  deployment: Deployment,
  { config }: Services,
): Omit<FeedOptions, "heard"> {
  // In every other dialect the end of a stream tells usage unasked.
  const asksForUsage = call.dialect === "openai-chat" || call.dialect === "openai-completions";
  const asked =
    (call.body as ChatRequest).stream_options?.include_usage === true ||
    config.general.alwaysIncludeStreamUsage === true;
  const withCost = asked && config.litellm.includeCostInStreamingUsage;
  return {
    withholdUsage: asksForUsage && !asked,
    ...(withCost && asksForUsage
      ? {
          costUsd: (usage) => {
            const micro = costMicroUsd(usage, deployment.facts.price);
            return micro === undefined ? undefined : micro / 1e6;
          },
        }
      : {}),
  };
}
