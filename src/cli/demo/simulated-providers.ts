/**
 * Simulated providers: real HTTP servers on free loopback ports, in OpenAI's and in Anthropic's
 * dialect. The demo and a `serve` without keys call them, and the tests have them as upstream.
 */
import { randomUUID } from "node:crypto";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { type Clock, sleep, systemClock } from "../../std/clock.ts";
import { composeAnswer, type SimulatedAnswer, type SimulatedRequest } from "./answer.ts";
import { anthropicWire } from "./anthropic-wire.ts";
import { createFaultPlan, type Fault, type FaultPlan } from "./faults.ts";
import { embeddingsReply, openaiWire } from "./openai-wire.ts";
import { type JudgeKnowledge, judgeAnswer, simulatedCourt } from "./simulated-judge.ts";
import {
  type SimulatedModel,
  type SimulatedVendor,
  simulatedVendors,
  uniform,
} from "./simulated-models.ts";
import type { Topic } from "./topics.ts";
import type { AnswerContext, Wire } from "./wire.ts";

/** The key that simulated providers ask for; no secret. */
export const simulatedKey = "simulated";

export interface SimulatedOptions {
  readonly seed?: number;
  /** 1: the models' own pace; 20: twenty times that; Infinity: no waiting at all. */
  readonly speed?: number;
  /** What a text is about, where the demo knows better than the models' guess. */
  readonly topicOf?: (prompt: string) => Topic | undefined;
  /** Adds a judge (`sim-judge`), which knows of the prompts what it is told here. */
  readonly judge?: JudgeKnowledge;
  readonly clock?: Clock;
}

/** One entry of a configuration's `model_list`, in LiteLLM's words. */
export interface SimulatedEntry {
  readonly model_name: string;
  readonly litellm_params: JsonObject & { readonly model: string };
  readonly model_info: JsonObject;
}

/** A request as it arrived, for tests to look at. */
export interface SeenRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
  /** Turns true when the caller hangs up before the end. */
  aborted: boolean;
}

export interface SimulatedProvider {
  readonly vendor: SimulatedVendor;
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly faults: FaultPlan;
  /** The last requests, oldest first, at most `maxSeen`. */
  readonly seen: readonly SeenRequest[];
}

export interface SimulatedProviders {
  readonly providers: readonly SimulatedProvider[];
  /** A `model_list` that reaches every simulated model under its own name. */
  readonly entries: readonly SimulatedEntry[];
  provider(name: string): SimulatedProvider;
  close(): Promise<void>;
}

const maxSeen = 1000;

export function createSimulatedProviders(options: SimulatedOptions = {}): SimulatedProviders {
  const { judge } = options;
  const started = simulatedVendors.map((vendor) => startProvider(vendor, options));
  if (judge) {
    const compose: Compose = (_model, asked) => judgeAnswer(asked, judge);
    started.push(startProvider(simulatedCourt, options, compose));
  }
  const providers = started.map(({ provider }) => provider);
  return {
    providers,
    entries: providers.flatMap(toEntries),
    provider(name) {
      const found = providers.find(({ vendor }) => vendor.name === name);
      if (!found) throw new RangeError(`no simulated provider is called ${name}`);
      return found;
    },
    async close() {
      await Promise.all(started.map(({ stop }) => stop()));
    },
  };
}

function toEntries({ vendor, url }: SimulatedProvider): SimulatedEntry[] {
  const anthropic = vendor.dialect === "anthropic";
  const api_base = anthropic ? url : `${url}/v1`;
  const prefix = anthropic ? "anthropic" : "openai";
  const chat = vendor.models.map((model) => ({
    model_name: model.name,
    litellm_params: { model: `${prefix}/${model.name}`, api_base, api_key: simulatedKey },
    model_info: {
      mode: "chat",
      input_cost_per_token: model.inputUsdPerMtok / 1e6,
      output_cost_per_token: model.outputUsdPerMtok / 1e6,
      max_input_tokens: 128_000,
      max_output_tokens: 8_192,
      size_b: model.sizeB,
      supports_function_calling: true,
      supports_response_schema: true,
      supports_vision: true,
      simulated: true,
    },
  }));
  if (!vendor.embeddingModel) return chat;
  const embedding = {
    model_name: vendor.embeddingModel,
    litellm_params: {
      model: `${prefix}/${vendor.embeddingModel}`,
      api_base,
      api_key: simulatedKey,
    },
    model_info: { mode: "embedding", input_cost_per_token: 2e-8, simulated: true },
  };
  return [...chat, embedding];
}

interface Kitchen {
  readonly vendor: SimulatedVendor;
  readonly wire: Wire;
  readonly faults: FaultPlan;
  readonly seen: SeenRequest[];
  readonly clock: Clock;
  readonly seed: number;
  readonly speed: number;
  readonly compose: Compose;
}

type Compose = (model: SimulatedModel, asked: SimulatedRequest) => SimulatedAnswer;

function startProvider(
  vendor: SimulatedVendor,
  options: SimulatedOptions,
  compose: Compose = (model, asked) => composeAnswer(model, asked, options.topicOf?.(asked.prompt)),
) {
  const kitchen: Kitchen = {
    vendor,
    wire: vendor.dialect === "anthropic" ? anthropicWire : openaiWire,
    faults: createFaultPlan(),
    seen: [],
    clock: options.clock ?? systemClock,
    seed: options.seed ?? 1,
    speed: options.speed ?? 1,
    compose,
  };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0, // a slow model is what some tests are about
    development: false,
    fetch: (request) => answerRequest(request, kitchen),
  });
  const url = `http://127.0.0.1:${server.port}`;
  const provider: SimulatedProvider = { vendor, url, faults: kitchen.faults, seen: kitchen.seen };
  return { provider, stop: () => server.stop(true) };
}

async function answerRequest(request: Request, kitchen: Kitchen): Promise<Response> {
  const { wire, vendor } = kitchen;
  const { pathname } = new URL(request.url);
  const fail = (status: number, message: string) =>
    Response.json(wire.error(status, message), { status });
  if (wire.readKey(request.headers) !== simulatedKey) {
    return fail(401, `Incorrect API key provided. ${vendor.name} is simulated: "${simulatedKey}".`);
  }
  if (request.method === "GET" && pathname === "/v1/models") return listModels(vendor);
  const known = [wire.chatPath, ...(vendor.embeddingModel ? ["/v1/embeddings"] : [])];
  if (request.method !== "POST" || !known.includes(pathname)) {
    return fail(404, `${vendor.name} has no ${request.method} ${pathname}.`);
  }
  const body: unknown = await request.json().catch(() => undefined);
  if (!isObject(body)) return fail(400, "The body is not a JSON object.");
  note(request, pathname, body, kitchen);
  const fault = kitchen.faults.take() ?? {};
  const faulty = await showFault(fault, request.signal, kitchen);
  if (faulty) return faulty;
  if (pathname === "/v1/embeddings") {
    if (body["model"] === vendor.embeddingModel) {
      return Response.json(embeddingsReply(body, String(body["model"])));
    }
    return fail(404, `The model ${String(body["model"])} does not exist.`);
  }
  const model = vendor.models.find(({ name }) => name === body["model"]);
  if (!model) return fail(404, `The model ${String(body["model"])} does not exist.`);
  return answerChat({ request, body, model, fault }, kitchen);
}

function note(request: Request, path: string, body: JsonObject, { seen }: Kitchen): void {
  const entry = { path, headers: Object.fromEntries(request.headers), body, aborted: false };
  if (seen.length >= maxSeen) seen.shift();
  seen.push(entry);
  request.signal.addEventListener("abort", () => {
    entry.aborted = true;
  });
}

/** The faults that come before an answer; undefined where there is none. */
async function showFault(
  fault: Fault,
  signal: AbortSignal,
  kitchen: Kitchen,
): Promise<Response | undefined> {
  const { clock, wire } = kitchen;
  if (fault.hang) await new Promise<void>((resolve) => whenAborted(signal, resolve));
  if (fault.delayMs) await sleep(clock, fault.delayMs, signal).catch(() => undefined);
  const headers = { "content-type": "application/json", ...fault.headers };
  if (fault.garbage) return new Response("<html>it works!</html>", { headers });
  if (!fault.status) return undefined;
  const body =
    fault.body ?? JSON.stringify(wire.error(fault.status, `simulated fault ${fault.status}`));
  return new Response(body, { status: fault.status, headers });
}

function whenAborted(signal: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback();
  else signal.addEventListener("abort", callback, { once: true });
}

interface ChatTask {
  readonly request: Request;
  readonly body: JsonObject;
  readonly model: SimulatedModel;
  readonly fault: Fault;
}

async function answerChat(task: ChatTask, kitchen: Kitchen): Promise<Response> {
  const { request, body, model, fault } = task;
  const { wire, clock, vendor } = kitchen;
  const asked = wire.readRequest(body);
  const answer = kitchen.compose(model, asked);
  const id = randomUUID().replaceAll("-", "").slice(0, 24);
  const context = {
    id,
    createdS: Math.floor(clock.now() / 1000),
    model: model.name,
    request: asked,
    body,
  };
  const headers = { "x-request-id": `req_${id}`, "x-simulated-provider": vendor.name };
  const pace = createPace(model, asked.prompt, kitchen);
  if (body["stream"] !== true) {
    await rest(clock, pace.firstTokenMs + pace.perTokenMs * answer.outputTokens, request.signal);
    return Response.json(wire.reply(answer, context), { headers });
  }
  const plan: StreamPlan = { answer, context, pace, fault, signal: request.signal };
  const stream = toStream(streamEvents(plan, kitchen));
  return new Response(stream, {
    headers: { ...headers, "content-type": "text/event-stream; charset=utf-8", ...fault.headers },
  });
}

interface StreamPlan {
  readonly answer: SimulatedAnswer;
  readonly context: AnswerContext;
  readonly pace: Pace;
  readonly fault: Fault;
  readonly signal: AbortSignal;
}

/** The events of a stream at the model's pace, with the faults that a stream can have. */
async function* streamEvents(plan: StreamPlan, kitchen: Kitchen): AsyncGenerator<string> {
  const { fault, pace, signal } = plan;
  const { wire, clock } = kitchen;
  await rest(clock, pace.firstTokenMs + (fault.firstTokenDelayMs ?? 0), signal);
  let sent = 0;
  let owedMs = 0;
  for (const text of wire.events(plan.answer, plan.context)) {
    if (sent === fault.truncateAfter) return;
    if (sent === fault.resetAfter) {
      await rest(clock, 5, signal); // what was sent before must have left
      throw new Error("simulated reset");
    }
    if (sent === fault.stallAfter) await new Promise<void>((done) => whenAborted(signal, done));
    if (sent === fault.errorAfter) {
      yield wire.streamError("simulated in-band error");
      return;
    }
    // Timers are no finer than a few milliseconds, so what is owed is paid in lumps.
    owedMs += pace.perTokenMs + (fault.dripMs ?? 0);
    if (owedMs >= 4) {
      await rest(clock, owedMs, signal);
      owedMs = 0;
    }
    if (signal.aborted) return;
    yield text;
    sent++;
  }
}

/** A web stream that asks the generator for more only as the reader takes it. */
function toStream(texts: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await texts.return(undefined);
    },
  });
}

interface Pace {
  readonly firstTokenMs: number;
  readonly perTokenMs: number;
}

/** A model's pace on a prompt: its own, give or take a third, over the speed of the simulation. */
function createPace(model: SimulatedModel, prompt: string, { seed, speed }: Kitchen): Pace {
  const jitter = 0.7 + 0.6 * uniform(`pace\n${seed}\n${model.name}\n${prompt}`);
  return {
    firstTokenMs: (model.firstTokenMs * jitter) / speed,
    perTokenMs: (1000 / model.tokensPerSecond) * (jitter / speed),
  };
}

/** Waits unless there is nothing to wait for; ends early and quietly when the caller hangs up. */
async function rest(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (ms < 1 || signal.aborted) return;
  await sleep(clock, ms, signal).catch(() => undefined);
}

function listModels(vendor: SimulatedVendor): Response {
  const names = [...vendor.models.map(({ name }) => name), vendor.embeddingModel ?? []].flat();
  return Response.json({
    object: "list",
    data: names.map((id) => ({ id, object: "model", created: 0, owned_by: vendor.name })),
  });
}
