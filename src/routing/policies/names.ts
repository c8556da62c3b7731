/** Candidates by the names that a language model calls them. Exact names only: a guess is a wrong model. */
import { withoutPrefix } from "../../domain/model.ts";
import type { PolicyCandidate } from "./policy.ts";

/**
 * The candidate of that name: its model, that without the provider's prefix, its group, or a label of
 * `label_mapping`; upper and lower case alike. Undefined where none or several bear it.
 */
export function findNamed(
  name: string,
  candidates: readonly PolicyCandidate[],
): PolicyCandidate | undefined {
  const wanted = bare(name);
  if (wanted === "") return undefined;
  for (const namesOf of [ownNames, groupNames]) {
    const found = candidates.filter((each) =>
      namesOf(each).some((known) => bare(known) === wanted),
    );
    if (found.length > 0) return found.length === 1 ? found[0] : undefined;
  }
  return undefined;
}

/** What a model is told to call a candidate: short, and unlike any other's name. */
export function nameOf(candidate: PolicyCandidate, all: readonly PolicyCandidate[]): string {
  const { model, aliases } = candidate;
  const short = [...aliases, withoutPrefix(model)].find(
    (name) => findNamed(name, all) === candidate,
  );
  return short ?? model;
}

/** A line per candidate: its name and what is known of it. */
export function describe(candidates: readonly PolicyCandidate[]): string {
  return candidates
    .map((each) => {
      const { description } = each;
      return `- ${nameOf(each, candidates)}${description === "" ? "" : `: ${description}`}`;
    })
    .join("\n");
}

const ownNames = ({ model, aliases }: PolicyCandidate) => [model, withoutPrefix(model), ...aliases];
const groupNames = ({ group }: PolicyCandidate) => [group];

/** Without what models put around a name: quotes, stars, a full stop. */
function bare(name: string): string {
  return name
    .trim()
    .replace(/^["'`*<[(]+|["'`*>\]).,:;!]+$/g, "")
    .trim()
    .toLowerCase();
}
