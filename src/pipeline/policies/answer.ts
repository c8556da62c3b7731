/**
 * A call whose strategy asks language models: the policy runs, and the call goes where it says. What
 * it asked is in the receipt and in the cost. Where it fails the call goes to the fallback strategy,
 * and says so.
 */
import type { Config, RoutingStrategyArgs } from "../../config/config.ts";
import type { Call } from "../../domain/call.ts";
import type { ChatRequest } from "../../domain/chat.ts";
import type { CandidateScore, Decision, DecisionReason } from "../../domain/decision.ts";
import { toGatewayError } from "../../domain/errors.ts";
import type { Deployment } from "../../domain/model.ts";
import type { Balancer } from "../../routing/balancers/balancer.ts";
import { toCandidates } from "../../routing/candidates.ts";
import {
  type Policy,
  type PolicyCandidate,
  type PolicyOutcome,
  type PolicyRun,
  PolicyStopped,
  policyLimits,
} from "../../routing/policies/policy.ts";
import { numberOf } from "../../routing/policies/settings.ts";
import { toRoutingQuery } from "../../routing/query-text.ts";
import type { Ranking } from "../../routing/ranking.ts";
import { attempt } from "../attempt.ts";
import type { CallRecord } from "../record.ts";
import type { Reply } from "../reply.ts";
import { endsCall } from "../run.ts";
import type { PolicyRunner, Services } from "../services.ts";
import { Asker, type AskLimits } from "./ask.ts";
import { describeModels } from "./describe-models.ts";
import { giveHeld, giveText } from "./give.ts";

export interface PolicyRunnerOptions {
  readonly policy: Policy;
  readonly config: Pick<Config, "router">;
  /** Balances the deployments of whom the policy asks. */
  readonly balancer: Balancer;
  /** What `train` learnt for this strategy, where an artifact is in force. */
  readonly learned: () => Readonly<Record<string, unknown>> | undefined;
}

export function createPolicyRunner(options: PolicyRunnerOptions): PolicyRunner {
  const { policy, config, balancer, learned } = options;
  const args = config.router.routingStrategyArgs;
  const limits = toLimits(args);
  const toPolicyCandidates = describeModels(args);

  async function answer(call: Call, ranking: Ranking, record: CallRecord, services: Services) {
    if (!applies(policy, call, ranking)) return attempt(call, ranking, record, services);
    const candidates = toPolicyCandidates(candidatesOf(ranking));
    if (candidates.length < 2) return attempt(call, ranking, record, services);
    const chat = toChat(call, services);
    const unsuited = policy.unsuited?.(chat);
    if (unsuited !== undefined) return unpoliced(`${policy.name}: ${unsuited}`, "static");
    const fitted = learned();
    if (policy.artifact === "always" && !fitted) {
      return unpoliced(`${policy.name}: no trained router is in force`, "fallback");
    }
    const startUs = services.clock.monotonicUs();
    const asker = new Asker(call, record, services, { balancer, limits });
    let outcome: PolicyOutcome;
    try {
      const run = toRun({ call, chat, candidates, asker, services, learned: fitted });
      outcome = await policy.run(run, args);
      if (record.aborted) throw record.aborted;
    } catch (thrown) {
      return fallBack(thrown);
    } finally {
      asker.letGo();
      record.askedUs = services.clock.monotonicUs() - startUs;
    }
    const given: Given = { call, ranking, record, services, asker, candidates };
    return give(outcome, given, fallBack);

    function unpoliced(note: string, reason: DecisionReason): Promise<Reply> {
      record.ranking = { ...ranking, decision: { ...ranking.decision, reason, note } };
      return attempt(call, ranking, record, services);
    }

    /** Visible in the receipt, in `x-routeiq-strategy`, in a metric and in the log. */
    function fallBack(thrown: unknown): Promise<Reply> {
      if (record.aborted) throw record.aborted;
      const error = thrown instanceof PolicyStopped ? undefined : toGatewayError(thrown);
      if (error && (endsCall(error) || error.row.fault === "caller")) throw error;
      // What is broken in the gateway is told to its operator, as everywhere.
      if (error?.code === "internal") services.onInternalFailure(error.cause);
      const why = error ? `${error.code}: a model it asked failed` : (thrown as Error).message;
      services.metrics.unpoliced(policy.name, error?.code ?? "stopped");
      services.telemetry.log("warn", "a strategy that asks models failed; routing was static", {
        strategy: policy.name,
        why,
        call: call.id,
      });
      return unpoliced(`${policy.name}: ${why}`, "fallback");
    }
  }

  async function give(
    outcome: PolicyOutcome,
    given: Given,
    fallBack: (thrown: unknown) => Promise<Reply>,
  ): Promise<Reply> {
    const { call, ranking, record, services, asker, candidates } = given;
    const decide = (first: Deployment): Decision =>
      toDecision(outcome, first, given, policy.name, ranking.decision.artifact);
    if (outcome.kind === "answer" || outcome.kind === "text") {
      const held = asker.heldOf(outcome.said);
      const first = held.record.deployment ?? ranking.first;
      record.ranking = { ...ranking, first, decision: decide(first) };
      if (outcome.kind === "answer") return giveHeld(held, call, record, services);
      return giveText(outcome.text, held, call, record, services);
    }
    try {
      if (outcome.kind === "finish") {
        return await finishBy(outcome, given, decide);
      }
      const order = outcome.order.filter((each) => candidates.includes(each));
      const ranked = await asker.rank({ candidates: order }, call);
      const next = { ...ranking, first: ranked.first, options: ranked.options };
      record.ranking = { ...next, decision: decide(ranked.first) };
      return await attempt(call, record.ranking, record, services);
    } catch (thrown) {
      const error = toGatewayError(thrown);
      if (endsCall(error) || record.aborted) throw error;
      if (outcome.kind === "finish") return fallBack(thrown);
      if (!outcome.otherwise || error.row.fault === "caller") throw error;
      // The answer that was held is worse than what was hoped for, and better than none.
      const held = asker.heldOf(outcome.otherwise);
      const first = held.record.deployment ?? ranking.first;
      const note = `${outcome.note}; the rest failed (${error.code}), so its answer was given`;
      record.ranking = { ...ranking, first, decision: { ...decide(first), note } };
      return giveHeld(held, call, record, services);
    }
  }

  /** The last question streams to a caller who speaks our own dialect; to others it comes whole. */
  async function finishBy(
    outcome: PolicyOutcome & { kind: "finish" },
    { call, record, services, asker }: Given,
    decide: (first: Deployment) => Decision,
  ): Promise<Reply> {
    const { messages, to } = outcome;
    if (call.dialect === "openai-chat" && call.operation === "chat") {
      const body = { ...call.body, messages: messages as never };
      const last: Call = { ...call, body, text: JSON.stringify(body) };
      const ranked = await asker.rank(to, last);
      record.ranking = { ...ranked, decision: decide(ranked.first) };
      return attempt(last, record.ranking, record, services);
    }
    const { max_tokens, max_completion_tokens } = toChat(call, services);
    const said = await asker.ask({
      to,
      purpose: "merge",
      messages,
      maxTokens: max_completion_tokens ?? max_tokens ?? mergeTokens,
    });
    const held = asker.heldOf(said);
    const first = held.record.deployment;
    if (first && record.ranking) {
      record.ranking = { ...record.ranking, first, decision: decide(first) };
    }
    return giveText(said.text, held, call, record, services);
  }

  return { answer };
}

const mergeTokens = 4_096;

interface Given {
  readonly call: Call;
  readonly ranking: Ranking;
  readonly record: CallRecord;
  readonly services: Services;
  readonly asker: Asker;
  readonly candidates: readonly PolicyCandidate[];
}

function toLimits(args: RoutingStrategyArgs): AskLimits {
  return {
    calls: numberOf(args.max_calls, policyLimits.calls),
    timeoutMs: numberOf(args.timeout_ms, policyLimits.timeoutMs),
    costUsd: numberOf(args.max_cost_usd, policyLimits.costUsd),
  };
}

/** A choice is to be made, and nobody has made it: no mock, no balancer of the call's own, no tie. */
function applies({ sticks }: Policy, call: Call, { decision }: Ranking): boolean {
  const { operation, options, pin } = call;
  if (operation !== "chat" && operation !== "responses") return false;
  if (options.mock || options.router?.routingStrategy || pin) return false;
  if (decision.reason === "single_candidate") return false;
  return decision.reason !== "sticky" || !sticks;
}

/** In the ranking's order; each model once. */
function candidatesOf({ options, decision }: Ranking) {
  const { chosen } = decision;
  const all = toCandidates(options.flatMap(({ deployments }) => deployments));
  const out = new Set(
    decision.candidates.flatMap(({ model, filtered }) => (filtered ? [model] : [])),
  );
  const able = all.filter(({ model }) => !out.has(model));
  // The balancer's pick of no strategy is no preference; a router's is.
  return options.length > 1 ? able.sort((a, b) => rankOf(b) - rankOf(a)) : able;
  function rankOf({ model }: { readonly model: string }): number {
    return model === chosen ? 1 : 0;
  }
}

function toChat(call: Call, { getDialect }: Services): ChatRequest {
  return (call.chat ?? getDialect(call.dialect).decodeRequest(call.body)) as ChatRequest;
}

interface RunParts {
  readonly call: Call;
  readonly chat: ChatRequest;
  readonly candidates: readonly PolicyCandidate[];
  readonly asker: Asker;
  readonly services: Services;
  readonly learned: Readonly<Record<string, unknown>> | undefined;
}

function toRun({ call, chat, candidates, asker, services, learned }: RunParts): PolicyRun {
  return {
    chat,
    query: toRoutingQuery(call.chat ?? call.body).text,
    candidates,
    learned,
    ask: (request) => asker.ask(request),
    askForAnswer: (candidate) => asker.askForAnswer(candidate),
    async rank(query) {
      const deployments = candidates.flatMap((each) => each.deployments);
      const group = candidates[0]?.group ?? "";
      const ranked = await services.router.rank({
        resolution: { kind: "auto", group, deployments },
        body: { messages: [{ role: "user", content: query }] },
        stream: false,
        chat: true,
        ...(call.dial ? { dial: call.dial } : {}),
      });
      if (ranked.decision.artifact === "none") return undefined;
      const order = ranked.options.map((option) => option.deployments[0]?.candidate);
      return order.flatMap((model) => candidates.find((each) => each.model === model) ?? []);
    },
  };
}

function toDecision(
  { reason, note, verification }: PolicyOutcome,
  { candidate }: Deployment,
  { ranking, candidates, services, call }: Given,
  strategy: string,
  artifact: string,
): Decision {
  const { decision } = ranking;
  const known = new Map(decision.candidates.map((each) => [each.model, each]));
  const scores = candidates.map(({ model, group }): CandidateScore => {
    const chosen = model === candidate;
    return { ...(known.get(model) ?? { model, group }), probability: chosen ? 1 : 0 };
  });
  const left = decision.candidates.filter(({ filtered }) => filtered);
  return {
    strategy,
    artifact,
    reason,
    candidates: [...scores.sort((a, b) => b.probability - a.probability), ...left],
    chosen: candidate,
    note,
    ...(verification === undefined ? {} : { verification }),
    ...(decision.dial ? { dial: decision.dial } : {}),
    ...(decision.novelty === undefined ? {} : { novelty: decision.novelty }),
    decisionUs: services.clock.monotonicUs() - call.startedUs,
  };
}
