/**
 * The contract of a policy: a strategy that asks language models on its way to the answer. It is
 * given `ask`, which runs the pipeline's attempt, and knows nothing of the pipeline itself.
 */
import type { RoutingStrategyArgs } from "../../config/config.ts";
import type { ChatChoice, ChatMessage, ChatRequest } from "../../domain/chat.ts";
import type { DecisionReason } from "../../domain/decision.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Deployment } from "../../domain/model.ts";

/** A model that could answer the call. */
export interface PolicyCandidate {
  /** `litellm_params.model`. */
  readonly model: string;
  readonly group: string;
  readonly deployments: readonly Deployment[];
  /** Further names that a model may call it by: labels of `label_mapping`. */
  readonly aliases: readonly string[];
  /** What is said of it to a model that chooses. */
  readonly description: string;
}

/** Whom to ask: a group of the configuration, a candidate, or candidates in order of preference. */
export type Target =
  | { readonly group: string }
  | { readonly candidates: readonly PolicyCandidate[] };

export interface AskRequest {
  readonly to: Target;
  /** One word, for receipts and metrics. */
  readonly purpose: Purpose;
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly stop?: readonly string[];
  /** The older text API, for causal models without a chat template: the messages' text is the prompt. */
  readonly completion?: boolean;
  /** Further fields of the body, as some servers have them. */
  readonly extra?: JsonObject;
}

/** `answer`: the caller's own request; the rest are questions of the policy's. */
export type Purpose = "route" | "answer" | "verify" | "split" | "part" | "merge" | "reason";

/** What a model said. */
export interface Said {
  /** Number of the call in the receipt's list. */
  readonly call: number;
  readonly text: string;
  readonly choice: ChatChoice | undefined;
  readonly model: string;
}

export interface PolicyRun {
  /** The caller's request in our own form. */
  readonly chat: ChatRequest;
  /** The text that routing sees. */
  readonly query: string;
  /** Those that can serve the call; two at least. */
  readonly candidates: readonly PolicyCandidate[];
  /**
   * One call: attempted, retried, billed and written down like any other, within the policy's limits.
   * @throws GatewayError what the call failed with; PolicyStopped where a limit ends the policy
   */
  ask(request: AskRequest): Promise<Said>;
  /** The caller's own request, its answer held until the policy has decided. @throws as `ask` */
  askForAnswer(candidate: PolicyCandidate): Promise<Said>;
  /** Candidates for another text, best first, by the trained router; undefined where none is in force. */
  rank(query: string): Promise<readonly PolicyCandidate[] | undefined>;
  /** What `train` learnt for this strategy, where an artifact is in force. */
  readonly learned: Readonly<Record<string, unknown>> | undefined;
}

/** How a policy came to its end. `note`: a sentence for the receipt, with nothing of the prompt in it. */
export type PolicyOutcome = {
  readonly reason: DecisionReason;
  readonly note: string;
  /** How sure the verifier was of the smaller model's answer, in [0, 1]. */
  readonly verification?: number;
} & (
  | {
      /** Goes on as an ordinary call on these, in order; streams where the caller streams. */
      readonly kind: "route";
      readonly order: readonly PolicyCandidate[];
      /** What is given to the caller if all of them fail: an answer already paid for. */
      readonly otherwise?: Said;
    }
  /** The held answer, as it came. */
  | { readonly kind: "answer"; readonly said: Said }
  /** A text of the policy's making; `said` is the call that it comes from. */
  | { readonly kind: "text"; readonly said: Said; readonly text: string }
  /** A last question in the conversation's place, answered to the caller. */
  | {
      readonly kind: "finish";
      readonly to: Target;
      readonly messages: readonly ChatMessage[];
    }
);

/** What is wrong with the options, in which key, and what to do. */
export interface PolicyProblem {
  readonly key: string;
  readonly message: string;
  readonly remedy: string;
}

export interface Policy {
  /** `llmrouter-automix` … */
  readonly name: string;
  readonly summary: string;
  /** Whether a conversation that has a model stays with it instead. */
  readonly sticks: boolean;
  /** `never`: needs no trained router; `always`: does nothing without one. */
  readonly artifact: "never" | "maybe" | "always";
  /** Options it cannot work with. `serves`: whether a name leads to a model. */
  findProblem(
    args: RoutingStrategyArgs,
    serves: (name: string) => boolean,
  ): PolicyProblem | undefined;
  /** Why a request is not for this policy; it is routed as without it then. */
  unsuited?(chat: ChatRequest): string | undefined;
  /** @throws GatewayError, PolicyStopped: the call goes to the fallback strategy, visibly. */
  run(run: PolicyRun, args: RoutingStrategyArgs): Promise<PolicyOutcome>;
}

/** A limit was reached, or a model's answer was of no use. The message says which, for the receipt. */
export class PolicyStopped extends Error {
  override readonly name = "PolicyStopped";
}

export const policyLimits = {
  /** Defaults of `max_calls`, `timeout_ms`, `max_cost_usd`. */
  calls: 24,
  timeoutMs: 60_000,
  costUsd: 1,
  /** What of a model's text is put into another's prompt. */
  quoteChars: 12_000,
  /** Of the conversation that a model is told. */
  conversationChars: 16_000,
  descriptionChars: 600,
} as const;
