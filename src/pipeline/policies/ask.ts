/**
 * The calls that a policy makes for one call: each is attempted, retried and billed as any other,
 * within limits of number, time and money, and stops when the call does. What became of each is in
 * the call's receipt.
 */
import type { Call } from "../../domain/call.ts";
import type { ChatReply } from "../../domain/chat.ts";
import type { StrategyCall } from "../../domain/decision.ts";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Balancer } from "../../routing/balancers/balancer.ts";
import type { Option } from "../../routing/learned-view.ts";
import {
  type AskRequest,
  type PolicyCandidate,
  PolicyStopped,
  type Purpose,
  type Said,
  type Target,
} from "../../routing/policies/policy.ts";
import type { Ranking } from "../../routing/ranking.ts";
import { Cancel } from "../../std/cancel.ts";
import { decodeUtf8 } from "../../std/json.ts";
import { attempt } from "../attempt.ts";
import { CallRecord, costOf } from "../record.ts";
import { isWhole, type Reply, type WholeBody } from "../reply.ts";
import { endsCall } from "../run.ts";
import { toRankRequest } from "../select.ts";
import type { Services } from "../services.ts";

export interface AskLimits {
  readonly calls: number;
  readonly timeoutMs: number;
  readonly costUsd: number;
}

/** What a call of the policy's came to, for whoever gives it to the caller. */
export interface Held {
  readonly record: CallRecord;
  readonly body: WholeBody;
  /** Parsed, in the dialect of its call. */
  readonly reply: JsonObject;
}

export class Asker {
  readonly #call: Call;
  readonly #record: CallRecord;
  readonly #services: Services;
  readonly #balancer: Balancer;
  readonly #limits: AskLimits;
  readonly #deadlineMs: number;
  readonly #live = new Set<CallRecord>();
  readonly #held = new Map<number, Held>();
  readonly calls: StrategyCall[] = [];
  #asked = 0;

  constructor(
    call: Call,
    record: CallRecord,
    services: Services,
    { balancer, limits }: { readonly balancer: Balancer; readonly limits: AskLimits },
  ) {
    this.#call = call;
    this.#record = record;
    this.#services = services;
    this.#balancer = balancer;
    this.#limits = limits;
    this.#deadlineMs = services.clock.now() + limits.timeoutMs;
    record.strategyCalls = this.calls;
    const cancel = new Cancel();
    cancel.listen(() => this.letGo());
    record.hold(cancel);
  }

  /** Ends what still runs: nobody waits for it any more. */
  letGo(): void {
    const reason = this.#record.aborted ?? superseded();
    for (const each of this.#live) each.abort(reason);
  }

  /** What a call came to, whole. */
  heldOf({ call }: Said): Held {
    const held = this.#held.get(call);
    if (!held) throw new Error(`call ${call} of the policy has no answer`);
    return held;
  }

  ask(request: AskRequest): Promise<Said> {
    return this.#run(request.purpose, request.to, this.#toCall(request));
  }

  askForAnswer(candidate: PolicyCandidate): Promise<Said> {
    const { stream_options: _, ...kept } = this.#call.body;
    const body = { ...kept, stream: false };
    const own = { ...this.#call, body, stream: false, text: JSON.stringify(body) };
    // Where this one fails it is the policy's to say who is next.
    const options = { ...own.options, disableFallbacks: true };
    return this.#run("answer", { candidates: [candidate] }, this.#within({ ...own, options }));
  }

  /** A ranking for whom a policy names. @throws GatewayError where nobody can be asked */
  async rank(to: Target, call: Call): Promise<Ranking> {
    const { router } = this.#services;
    const balancer = this.#balancer;
    if ("group" in to) {
      return await router.rank({ ...toRankRequest(call, to.group, this.#services), balancer });
    }
    let failure: unknown = new PolicyStopped("there is nobody left to ask");
    for (const [n, { group, deployments }] of to.candidates.entries()) {
      try {
        const resolution = { kind: "group", group, deployments } as const;
        const body = call.chat ?? call.body;
        const asked = { resolution, body, stream: call.stream, chat: true, balancer };
        const ranked = await router.rank(asked);
        const rest = to.candidates.slice(n + 1);
        const options = rest.map((each): Option => ({ ...each, balancer }));
        return { ...ranked, options: [...ranked.options, ...options] };
      } catch (thrown) {
        failure = thrown; // at its limit, or resting: the next one may do
      }
    }
    throw failure;
  }

  async #run(purpose: Purpose, to: Target, call: Call): Promise<Said> {
    this.#assertWithin();
    const record = new CallRecord(call);
    record.isPart = true;
    record.trace = this.#record.trace;
    const number = this.#asked++;
    this.#live.add(record);
    this.#services.retryBudget.countCall();
    try {
      record.ranking = await this.rank(to, call);
      this.#assertMoney(record);
      const reply = await attempt(call, record.ranking, record, this.#services);
      const held = hold(reply, record);
      if (mayBeGiven.has(purpose)) this.#held.set(number, held);
      return this.#toSaid(number, held, call);
    } catch (thrown) {
      throw this.#failed(record, thrown);
    } finally {
      this.#live.delete(record);
      this.#writeDown(purpose, record);
    }
  }

  #assertWithin(): void {
    if (this.#record.aborted) throw this.#record.aborted;
    const { calls, timeoutMs } = this.#limits;
    if (this.#asked >= calls) throw new PolicyStopped(`the limit of ${calls} calls (max_calls)`);
    if (this.#services.clock.now() >= this.#deadlineMs) {
      throw new PolicyStopped(`the limit of ${timeoutMs} ms (timeout_ms)`);
    }
  }

  /** What was spent, and what the input of this one will cost at least. */
  #assertMoney({ ranking }: CallRecord): void {
    const price = ranking?.first.facts.price;
    const inputUsd = (ranking?.inputTokens ?? 0) * (price?.inputUsdPerToken ?? 0);
    const { costUsd } = this.#limits;
    if (this.#record.askedMicroUsd / 1e6 + inputUsd <= costUsd) return;
    throw new PolicyStopped(`the limit of ${costUsd} USD for a call (max_cost_usd)`);
  }

  /** A part whose own time is up has not ended the call: its policy has. */
  #failed(record: CallRecord, thrown: unknown): unknown {
    if (thrown instanceof PolicyStopped) return thrown;
    const error = toGatewayError(thrown);
    record.error = error;
    if (!endsCall(error)) return this.#record.aborted ?? error;
    // It was asked, so its input is paid for.
    if (record.deployment) {
      const inputTokens = record.ranking?.inputTokens ?? 0;
      record.usage ??= { inputTokens, outputTokens: 0, estimated: true };
    }
    if (this.#record.aborted) return this.#record.aborted;
    const { deadlineMs = Number.POSITIVE_INFINITY } = this.#call;
    if (error.code !== "deadline_exceeded" || deadlineMs <= this.#deadlineMs) return error;
    return new PolicyStopped(`the limit of ${this.#limits.timeoutMs} ms (timeout_ms)`);
  }

  #writeDown(purpose: Purpose, record: CallRecord): void {
    const { clock, metrics } = this.#services;
    const { call, deployment, error, usage, attempts } = record;
    const cost = costOf(record);
    this.#record.askedMicroUsd += cost ?? 0;
    const outcome =
      record.outcome === "success" ? "ok" : error && endsCall(error) ? "cancelled" : "failed";
    record.totalMs = clock.now() - call.startedAtMs;
    this.calls.push({
      purpose,
      startedAtMs: call.startedAtMs,
      durationMs: record.totalMs,
      outcome,
      attempts: attempts.length,
      ...(deployment ? { model: deployment.candidate, deployment: deployment.id } : {}),
      ...(error ? { error: error.code } : {}),
      ...(usage ? { usage } : {}),
      ...(cost === undefined ? {} : { costMicroUsd: cost }),
    });
    metrics.asked(record, purpose, outcome);
  }

  #toSaid(call: number, { record, reply }: Held, { dialect, operation }: Call): Said {
    const model = record.deployment?.candidate ?? "";
    if (operation === "completion")
      return { call, model, text: textOfCompletion(reply), choice: undefined };
    const chat: ChatReply = this.#services.getDialect(dialect).decodeReply(reply);
    const choice = chat.choices[0];
    const content = choice?.message.content;
    return { call, model, text: typeof content === "string" ? content : "", choice };
  }

  /** A call of our own making: no field or header of the caller's travels with it. */
  #toCall(request: AskRequest): Call {
    const { messages, maxTokens, temperature, stop, extra } = request;
    const group =
      "group" in request.to ? request.to.group : (request.to.candidates[0]?.group ?? "");
    const shared: JsonObject = {
      model: group,
      max_tokens: maxTokens,
      ...(temperature === undefined ? {} : { temperature }),
      ...(stop ? { stop } : {}),
      ...extra,
    };
    const body: JsonObject = request.completion
      ? { ...shared, prompt: messages.map(({ content }) => String(content)).join("\n") }
      : { ...shared, messages: messages as unknown as Json };
    const { id, requestId, caller, options } = this.#call;
    const { region } = options;
    return this.#within({
      id: `${id}-${this.#asked + 1}`,
      requestId,
      caller,
      operation: request.completion ? "completion" : "chat",
      dialect: request.completion ? "openai-completions" : "openai-chat",
      requestedModel: group,
      stream: false,
      text: JSON.stringify(body),
      body,
      headers: noHeaders,
      signal: neverGone,
      startedAtMs: 0,
      startedUs: 0,
      options: region === undefined ? {} : { region },
    });
  }

  /** Due with the policy, or with its call where that is sooner. */
  #within(call: Call): Call {
    const { clock } = this.#services;
    const { deadlineMs = Number.POSITIVE_INFINITY } = this.#call;
    return {
      ...call,
      signal: neverGone,
      startedAtMs: clock.now(),
      startedUs: clock.monotonicUs(),
      deadlineMs: Math.min(deadlineMs, this.#deadlineMs),
    };
  }
}

/** What may become the caller's answer; the rest is read once, and its bytes are let go. */
const mayBeGiven: ReadonlySet<Purpose> = new Set<Purpose>(["answer", "reason", "merge"]);

/** The caller's leaving reaches a part through its record. */
const neverGone: Call["signal"] = { aborted: false, addEventListener: () => undefined };
const noHeaders: Call["headers"] = {
  get: () => null,
  has: () => false,
  entries: () => [],
};

function hold({ body }: Reply, record: CallRecord): Held {
  if (!isWhole(body)) throw new Error("a part of a call does not stream");
  const parsed: unknown = JSON.parse(typeof body === "string" ? body : decodeUtf8(body));
  return { record, body, reply: isObject(parsed) ? parsed : {} };
}

function textOfCompletion({ choices }: JsonObject): string {
  const [first] = Array.isArray(choices) ? choices : [];
  return isObject(first) && typeof first["text"] === "string" ? first["text"] : "";
}

function superseded(): GatewayError {
  return new GatewayError(
    "superseded",
    "The strategy had decided before this call of it was done.",
  );
}
