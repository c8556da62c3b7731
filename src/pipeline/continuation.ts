/**
 * Streams that break off after their first byte and go on from another deployment. Off unless
 * configured: the second model reads the answer's beginning as its own words. Only text goes on,
 * never a tool call, a thought or a document by schema; and only with providers that take a beginning.
 */
import type { Call } from "../domain/call.ts";
import type { ChatChunk, ChatRequest, WireUsage } from "../domain/chat.ts";
import { type GatewayError, toGatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import { costMicroUsd } from "../domain/usage.ts";
import type { StreamReply } from "../providers/client.ts";
import { type Prefill, prefillOf } from "../providers/prefill.ts";
import type { Ranking } from "../routing/ranking.ts";
import type { ContinuationSettings } from "./continued-text.ts";
import { type ContinuedText, createContinuedText } from "./continued-text.ts";
import { fallbacksFor } from "./fallbacks.ts";
import { createChunkFeed, type Feed, type FeedOptions, readFrames } from "./feed.ts";
import { mayGoOn, pickOther } from "./pick-other.ts";
import { contextOf, toAnswer } from "./reply.ts";
import { breakOff, endsCall, estimate, giveUp, Run } from "./run.ts";
import { select } from "./select.ts";

/** Fields whose answers are more than plain text, or cannot be begun in the middle. */
const unfit: readonly string[] = [
  ...["response_format", "output_config", "output_format", "thinking", "reasoning_effort"],
  ...["reasoning", "logprobs", "audio", "modalities", "prediction"],
];

/** Whether a stream of this call may go on elsewhere, should it break off. */
export function mayContinue({ operation, dialect, body, chat, pin }: Call): boolean {
  if (operation !== "chat" || dialect === "openai-responses" || pin?.only) return false;
  const request = chat ?? body;
  if (typeof request["n"] === "number" && request["n"] > 1) return false;
  return unfit.every((field) => request[field] === undefined || request[field] === null);
}

interface Parts {
  readonly options: FeedOptions;
  readonly settings: ContinuationSettings;
  /** Told of the run that goes on. */
  readonly onSwitch: (run: Run) => void;
}

/** What a stream has been so far. */
interface Course {
  run: Run;
  upstream: StreamReply;
  readonly text: ContinuedText;
  /** Something came that another model cannot go on from. */
  fixed: boolean;
  times: number;
  first: ChatChunk | undefined;
  /** For the caller, as a comment of the stream, when the next bytes go out. */
  mark: string;
}

export function createContinuedFeed(upstream: StreamReply, run: Run, parts: Parts): Feed {
  const { call, callerDialect: caller } = run;
  const course: Course = {
    run,
    upstream,
    text: createContinuedText(),
    fixed: false,
    times: 0,
    first: undefined,
    mark: "",
  };
  const feed = createChunkFeed(
    (facts) => readOn(course, () => facts.tokens, parts),
    { caller, request: caller.decodeRequest(call.body), answer: toAnswer(call) },
    {
      ...parts.options,
      heard: (token) => {
        parts.options.heard(token);
        course.run.timers.heard(token);
      },
      shape: (chunk) => addTokens(chunk, course),
      close: () => course.upstream.close(),
    },
  );
  return {
    facts: feed.facts,
    async next() {
      const bytes = await feed.next();
      if (course.mark === "" || !bytes) return bytes;
      const mark = Buffer.from(course.mark);
      course.mark = "";
      return Buffer.concat([mark, bytes]);
    },
    close: feed.close,
  };
}

/** The chunks of the first stream, then of those that go on. @throws GatewayError the last failure */
async function* readOn(
  course: Course,
  tokens: () => number,
  parts: Parts,
): AsyncGenerator<ChatChunk> {
  for (;;) {
    const { dialect } = course.upstream;
    const context = contextOf(course.run.call, course.run.deployment);
    const chunks = dialect.decodeStream(readFrames(course.upstream), context);
    try {
      for await (const chunk of chunks) {
        const shown = course.times === 0 ? note(course, chunk) : graft(course, chunk);
        if (shown) yield shown;
      }
      const rest = course.text.flush();
      if (rest !== "" && course.first) yield toText(course.first, rest);
      return;
    } catch (thrown) {
      const error = toGatewayError(thrown);
      if (!(await goOn(course, error, tokens(), parts))) throw error;
    }
  }
}

/** A chunk of the first stream passes; what it says is remembered. */
function note(course: Course, chunk: ChatChunk): ChatChunk {
  course.first ??= chunk;
  for (const { delta, finish_reason, index } of chunk.choices) {
    if (typeof delta.content === "string") course.text.add(delta.content);
    const { tool_calls, reasoning_content, thinking_blocks, refusal } = delta;
    if (index > 0 || finish_reason || tool_calls || reasoning_content || thinking_blocks || refusal)
      course.fixed = true;
  }
  return chunk;
}

/** A chunk of a later stream as one of the first; undefined where nothing new is in it. */
function graft(course: Course, chunk: ChatChunk): ChatChunk | undefined {
  const { first, text } = course;
  if (!first) return undefined;
  const { id, created, model } = first;
  let says = chunk.usage !== undefined && chunk.usage !== null;
  const choices = chunk.choices.map((choice) => {
    const { role: _, content, ...delta } = choice.delta;
    let words = typeof content === "string" ? text.add(content) : "";
    if (choice.finish_reason) words += text.flush();
    if (words !== "" || choice.finish_reason || Object.keys(delta).length > 0) says = true;
    if (choice.finish_reason || delta.tool_calls || delta.reasoning_content) course.fixed = true;
    return { ...choice, delta: words === "" ? delta : { ...delta, content: words } };
  });
  return says ? { ...chunk, id, created, model, choices } : undefined;
}

function toText({ id, object, created, model }: ChatChunk, content: string): ChatChunk {
  const choices = [{ index: 0, delta: { content }, finish_reason: null }];
  return { id, object, created, model, choices };
}

/** The tokens of earlier attempts count among those that the caller is told of. */
function addTokens(chunk: ChatChunk, { run: { tokensBefore } }: Course): ChatChunk {
  if (!chunk.usage || tokensBefore === 0) return chunk;
  const usage: WireUsage = {
    ...chunk.usage,
    completion_tokens: chunk.usage.completion_tokens + tokensBefore,
    total_tokens: chunk.usage.total_tokens + tokensBefore,
  };
  return { ...chunk, usage };
}

/** Has another deployment go on, if there is one that can. @throws GatewayError where the call ends */
async function goOn(
  course: Course,
  error: GatewayError,
  tokens: number,
  { settings, onSwitch }: Parts,
): Promise<boolean> {
  const broken = course.run;
  // Before the first event, and after the last, there is nothing to go on with.
  if (!course.first || course.fixed) return false;
  if (endsCall(error) || error.row.fault !== "upstream") return false;
  const { said } = course.text;
  if (course.times >= settings.maxTimes || said.length > settings.maxTextChars) return false;
  course.upstream.close();
  breakOff(broken, error);
  const line = broken.record.attempts.length - 1;
  const next = await ask(course, error, tokens);
  if (!next) {
    broken.record.deployment = broken.deployment;
    return false;
  }
  const cost = costMicroUsd(estimate(broken, tokens), broken.deployment.facts.price);
  const written = broken.record.attempts[line];
  if (cost !== undefined && written) {
    broken.record.attempts[line] = { ...written, costMicroUsd: cost };
    broken.record.otherMicroUsd += cost;
  }
  next.run.tokensBefore = tokens;
  course.run = next.run;
  course.upstream = next.upstream;
  course.times++;
  course.text.resume();
  course.mark = `: x-routeiq-continued: ${encodeURIComponent(next.run.deployment.id)}\n\n`;
  onSwitch(next.run);
  return true;
}

interface Next {
  readonly run: Run;
  readonly upstream: StreamReply;
}

async function ask(course: Course, error: GatewayError, tokens: number): Promise<Next | undefined> {
  const { record, services } = course.run;
  const failed = new Set([course.run.deployment.id]);
  while (mayGoOn(record, services)) {
    const found = await find(course, error, failed);
    if (!found || !services.retryBudget.take()) return undefined;
    const { deployment, ranking } = found;
    const call = toCall(course, deployment, tokens);
    const run = new Run(call, deployment, ranking, "continuation", record, services);
    try {
      const upstream = await services.client.send(run);
      if (upstream.kind === "stream" && !upstream.opaque) return { run, upstream };
      run.cancel.cancel(error);
      giveUp(run, error);
    } catch (thrown) {
      const failure = giveUp(run, thrown);
      if (endsCall(failure)) throw failure;
    }
    failed.add(deployment.id);
  }
  return undefined;
}

interface Found {
  readonly deployment: Deployment;
  readonly ranking: Ranking;
}

/** Another deployment of the ranking, then of the fallbacks, and last the one that broke off. */
async function find(
  { run, text }: Course,
  error: GatewayError,
  failed: ReadonlySet<string>,
): Promise<Found | undefined> {
  const { call, ranking, record, services } = run;
  const able = (one: Deployment) => text.beginning === "" || prefillOf(one) !== undefined;
  const pick = (from: Ranking, not: ReadonlySet<string>): Found | undefined => {
    const all = from.options.flatMap(({ deployments }) => deployments);
    const unable = all.filter((one) => !able(one)).map(({ id }) => id);
    const deployment = pickOther(from.options, new Set([...not, ...unable]), from, call, services);
    return deployment && { deployment, ranking: from };
  };
  const here = pick(ranking, failed);
  if (here) return here;
  const group = record.rankRequest?.resolution.group;
  for (const target of fallbacksFor(error, call, services.config, group)) {
    try {
      const there = pick(await select(call, record, services, target.group), failed);
      if (there) return there;
    } catch (thrown) {
      if (endsCall(toGatewayError(thrown))) throw thrown;
    }
  }
  // It alone is left: asked again, unless it has failed twice.
  return failed.size === 1 ? pick(ranking, new Set()) : undefined;
}

/** The call with its answer's beginning; as it was, where nothing has been said. */
function toCall(
  { run: { call, services }, text }: Course,
  deployment: Deployment,
  tokens: number,
): Call {
  if (text.beginning === "") return call;
  const { message, body: fields }: Prefill = prefillOf(deployment) ?? {};
  // What the provider wants to be told has no place in another dialect than OpenAI's.
  const plain = message === undefined && fields === undefined;
  const kept = call.dialect === "openai-chat" || (call.dialect === "anthropic" && plain);
  const request: JsonObject & Pick<ChatRequest, "messages"> = kept
    ? (call.body as ChatRequest)
    : services.getDialect(call.dialect).decodeRequest(call.body);
  const beginning = { role: "assistant", content: text.beginning, ...message };
  const messages = [...request.messages, beginning] as unknown as JsonObject[];
  const body = { ...request, stream: true, messages, ...fields, ...lessTokens(request, tokens) };
  const { chat: _, ...asked } = call;
  const dialect = kept ? call.dialect : "openai-chat";
  return { ...asked, dialect, body, text: JSON.stringify(body) };
}

/** What is left of the caller's limits; one at least. */
function lessTokens(request: JsonObject, tokens: number): JsonObject {
  const left: Record<string, number> = {};
  for (const field of ["max_tokens", "max_completion_tokens"] as const) {
    const limit = request[field];
    if (typeof limit === "number") left[field] = Math.max(1, limit - tokens);
  }
  return left;
}
