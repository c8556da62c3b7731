/**
 * The models' mean qualities, drawn to what the catalog's prior makes of them: where there are few
 * labels the prior still speaks, and with each label it says less. The prior is a line through (ability,
 * mean quality) of these same models, whose slope begins at the prior's own, so it knows the level of
 * this traffic (empirical Bayes, Efron & Morris 1975).
 */
import { createCapabilities } from "../../routing/prior/capability.ts";
import { type PriorModel, toNotes } from "../../routing/prior/prior-router.ts";
import { placeUnknown } from "../../routing/prior/unknown-model.ts";

/** Rows that the prior counts as. */
const priorRows = 15;

/**
 * @param means   m: of the labels
 * @param labels  m: how many labels are behind each mean
 */
export function drawToPrior(
  means: ArrayLike<number>,
  labels: ArrayLike<number>,
  models: readonly PriorModel[],
): Float32Array {
  const capabilityOf = createCapabilities();
  const placed = models.map((model, label) => {
    const found = capabilityOf(toNotes(model));
    // A name that says nothing, of which nothing else is known, has no prior.
    return { label, ability: found.from === "facts" ? undefined : found.index };
  });
  const own = Float32Array.from(means);
  return own.map((mean, j) => {
    const one = placed[j];
    if (one?.ability === undefined) return mean;
    const others = placed.flatMap(({ label, ability }) =>
      ability === undefined ? [] : [{ label, ability }],
    );
    const prior = placeUnknown({ label: -1, ability: one.ability }, others, own);
    const count = labels[j] as number;
    return (count * mean + priorRows * prior) / (count + priorRows);
  });
}
