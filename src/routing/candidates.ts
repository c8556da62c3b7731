/** The distinct models behind a name, and which of them cannot serve a call, each with a reason. */
import type { FilterReason } from "../domain/decision.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
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

/** `toCandidates`, once per list of deployments: a name's list is the same for all of its calls. */
export function createCandidateIndex(): (
  deployments: readonly Deployment[],
) => readonly Candidate[] {
  const known = new WeakMap<readonly Deployment[], readonly Candidate[]>();
  return (deployments) => {
    let candidates = known.get(deployments);
    if (candidates) return candidates;
    candidates = toCandidates(deployments);
    known.set(deployments, candidates);
    return candidates;
  };
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
  const text = body["text"];
  const format =
    body["response_format"] ??
    body["output_format"] ??
    (isObject(text) ? text["format"] : undefined);
  const tools = Array.isArray(body["tools"]) && body["tools"].length > 0;
  const schema = isObject(format) && format["type"] === "json_schema";
  let vision = false;
  let audio = false;
  const messages = body["messages"] ?? body["input"];
  for (const message of Array.isArray(messages) ? messages : []) {
    if (!isObject(message) || !Array.isArray(message["content"])) continue;
    for (const part of message["content"]) {
      const type = isObject(part) ? part["type"] : undefined;
      if (imageTypes.has(type)) vision = true;
      else if (type === "input_audio") audio = true;
    }
  }
  if (!tools && !schema && !vision && !audio) return { inputTokens, capabilities: none };
  const capabilities: Capability[] = [];
  if (tools) capabilities.push("tools");
  if (schema) capabilities.push("json_schema");
  if (vision) capabilities.push("vision");
  if (audio) capabilities.push("audio");
  return { inputTokens, capabilities };
}

const none: readonly Capability[] = [];
const imageTypes: ReadonlySet<unknown> = new Set(["image_url", "image", "input_image"]);

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
  const judged = judge(candidates, needs, isEjected);
  if (judged === candidates || strict) return judged;
  if (judged.some(({ filtered }) => !filtered)) return judged;
  const lifted = judged.map((candidate) =>
    candidate.filtered === "cooling_down" ? candidate : withoutFilter(candidate),
  );
  return lifted.some(({ filtered }) => !filtered) ? lifted : candidates;
}

/** The list itself where nothing speaks against any of them: the usual case makes no objects. */
function judge(
  candidates: readonly Candidate[],
  needs: Needs,
  isEjected: (id: string) => boolean,
): readonly Candidate[] {
  let judged: Candidate[] | undefined;
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i] as Candidate;
    const filtered = reasonToLeave(candidate, needs, isEjected);
    if (filtered) judged ??= candidates.slice(0, i);
    judged?.push(filtered ? { ...candidate, filtered } : candidate);
  }
  return judged ?? candidates;
}

function reasonToLeave(
  { deployments }: Candidate,
  needs: Needs,
  isEjected: (id: string) => boolean,
): FilterReason | undefined {
  let reason: FilterReason | undefined;
  let able = false;
  let ejected = true;
  for (const { facts, id } of deployments) {
    const against = reasonAgainst(facts, needs);
    reason ??= against;
    if (!against) able = true;
    if (ejected && !isEjected(id)) ejected = false;
  }
  if (!able) return reason;
  return ejected ? "cooling_down" : undefined;
}

function withoutFilter({ model, group, deployments }: Candidate): Candidate {
  return { model, group, deployments };
}

/** @throws GatewayError context_length_exceeded, unsupported_capability: why none of them can */
export function assertSomeServe(candidates: readonly Candidate[], group: string): void {
  if (candidates.some(({ filtered }) => !filtered)) return;
  const reasons = new Set(candidates.map(({ filtered }) => filtered));
  const named = `No model of "${group}" can serve this request`;
  if (reasons.has("context_window")) {
    throw new GatewayError(
      "context_length_exceeded",
      `${named}: it is longer than their context windows. Shorten it, or add a model with a larger window.`,
      { param: "messages" },
    );
  }
  throw new GatewayError(
    "unsupported_capability",
    `${named} (${[...reasons].join(", ")}). Ask for another model, or leave out what it lacks.`,
  );
}
