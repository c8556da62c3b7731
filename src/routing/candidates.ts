/** The distinct models behind a name, and which of them cannot serve a call, each with a reason. */
import type { FilterReason } from "../domain/decision.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Capability, Deployment, ModelFacts } from "../domain/model.ts";

export interface Candidate {
  /** `litellm_params.model`. */
  readonly model: string;
  readonly group: string;
  readonly deployments: readonly Deployment[];
  readonly filtered?: FilterReason;
}

/** What a call needs of a model. */
export interface Needs {
  readonly inputTokens: number;
  readonly capabilities: readonly Capability[];
}

export function toCandidates(deployments: readonly Deployment[]): Candidate[] {
  const byModel = Map.groupBy(deployments, ({ candidate }) => candidate);
  return [...byModel].map(([model, members]) => ({
    model,
    group: members[0]?.group ?? model,
    deployments: members,
  }));
}

export function toNeeds(body: JsonObject, inputTokens: number): Needs {
  const capabilities: Capability[] = [];
  if (Array.isArray(body["tools"]) && body["tools"].length > 0) capabilities.push("tools");
  const text = body["text"];
  const format =
    body["response_format"] ??
    body["output_format"] ??
    (isObject(text) ? text["format"] : undefined);
  if (isObject(format) && format["type"] === "json_schema") capabilities.push("json_schema");
  const messages = body["messages"] ?? body["input"];
  if (Array.isArray(messages)) {
    const types = new Set(messages.flatMap(partTypes));
    if (imageTypes.some((type) => types.has(type))) capabilities.push("vision");
    if (types.has("input_audio")) capabilities.push("audio");
  }
  return { inputTokens, capabilities };
}

const imageTypes = ["image_url", "image", "input_image"];

function partTypes(message: Json): string[] {
  if (!isObject(message) || !Array.isArray(message["content"])) return [];
  return message["content"].flatMap((part) =>
    isObject(part) && typeof part["type"] === "string" ? [part["type"]] : [],
  );
}

const missing: Readonly<Record<Capability, FilterReason | undefined>> = {
  tools: "missing_tools",
  vision: "missing_vision",
  json_schema: "missing_json_schema",
  audio: "missing_audio",
  reasoning: undefined, // a model without it answers all the same
};

/** Why a model cannot serve; undefined where it can, or where too little is known to say. */
export function reasonAgainst(facts: ModelFacts, needs: Needs): FilterReason | undefined {
  if (facts.maxInputTokens !== undefined && needs.inputTokens > facts.maxInputTokens) {
    return "context_window";
  }
  for (const capability of needs.capabilities) {
    const reason = missing[capability];
    if (reason && facts.capabilities?.[capability] === false) return reason;
  }
  return undefined;
}

/**
 * Candidates with their reasons. A candidate is out when none of its deployments can serve.
 * Where that would leave none, what the facts say is set aside (a table of facts may be out of
 * date, and the provider's own answer is better than our guess), unless `strict`.
 */
export function filterCandidates(
  candidates: readonly Candidate[],
  needs: Needs,
  isEjected: (id: string) => boolean,
  strict: boolean,
): readonly Candidate[] {
  const judged = candidates.map((candidate): Candidate => {
    const reasons = candidate.deployments.map(({ facts }) => reasonAgainst(facts, needs));
    const [reason] = reasons;
    if (reason && reasons.every((each) => each !== undefined)) {
      return { ...candidate, filtered: reason };
    }
    if (candidate.deployments.every(({ id }) => isEjected(id))) {
      return { ...candidate, filtered: "cooling_down" };
    }
    return candidate;
  });
  if (judged.some(({ filtered }) => !filtered) || strict) return judged;
  const lifted = judged.map((candidate) =>
    candidate.filtered === "cooling_down" ? candidate : withoutFilter(candidate),
  );
  return lifted.some(({ filtered }) => !filtered) ? lifted : candidates;
}

function withoutFilter({ model, group, deployments }: Candidate): Candidate {
  return { model, group, deployments };
}
