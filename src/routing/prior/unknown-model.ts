/**
 * What to think of a model that a trained router does not know: what the known ones of its ability are
 * worth on this traffic, by a line through (ability, mean quality) whose slope begins at the prior's
 * own; where abilities are not told, of its price. Kept within what the known ones reach, but for half of
 * what a model abler than all of them should add; and by ability a little below: nobody has seen it
 * answer yet, and what is as good and known goes first.
 *
 * Each model of four public sets placed by the others of its set: wrong by .08 to .16 on average
 * (root of the mean square), by the line through prices .12 to .20, by their mean .11 to .17.
 */
import type { Price } from "../../domain/usage.ts";

/** A candidate as far as it matters here. */
export interface Placed {
  /** Index in the router's labels; −1 where it is not known. */
  readonly label: number;
  readonly price?: Price;
  /** Index of `capability.ts`. */
  readonly ability?: number;
}

/** Quality per index point before anything is seen, and how many squared points that counts as. */
const priorSlope = 0.016;
const priorMass = 100;
/** Of what a model abler than all known ones should add by the prior's slope, so much is believed. */
const beyond = 0.5;
/** A quarter of how far such a placing is off. */
const caution = 0.03;

/** @param labelQuality mean quality per label on the training data */
export function placeUnknown(
  unknown: Placed,
  candidates: readonly Placed[],
  labelQuality: Float32Array,
): number {
  const known = candidates.filter(({ label }) => label >= 0);
  const byAbility = toPoints(known, ({ ability }) => ability, labelQuality);
  if (unknown.ability !== undefined && byAbility.length > 0) {
    const slope = { at: priorSlope, mass: priorMass };
    const lead = unknown.ability - Math.max(...byAbility.map(({ x }) => x));
    const added = beyond * priorSlope * Math.max(0, lead);
    const placed = onLine(unknown.ability, byAbility, slope) + added - caution;
    return Math.max(0, Math.min(1, placed));
  }
  const price = toLogPrice(unknown.price);
  const byPrice = toPoints(known, (one) => toLogPrice(one.price), labelQuality);
  if (price === undefined || byPrice.length < 2) return mean(labelQuality);
  return onLine(price, byPrice, { at: 0, mass: 0 });
}

interface Point {
  readonly x: number;
  readonly quality: number;
}

function toPoints<T extends Placed>(
  known: readonly T[],
  toX: (one: T) => number | undefined,
  labelQuality: Float32Array,
): Point[] {
  return known.flatMap((one) => {
    const x = toX(one);
    return x === undefined ? [] : [{ x, quality: labelQuality[one.label] as number }];
  });
}

function onLine(at: number, points: readonly Point[], prior: { at: number; mass: number }): number {
  const centre = mean(points.map(({ x }) => x));
  const qualities = points.map(({ quality }) => quality);
  const level = mean(qualities);
  let product = prior.at * prior.mass;
  let square = prior.mass;
  for (const { x, quality } of points) {
    product += (x - centre) * (quality - level);
    square += (x - centre) ** 2;
  }
  const line = level + (square > 0 ? (product / square) * (at - centre) : 0);
  return Math.max(Math.min(...qualities), Math.min(Math.max(...qualities), line));
}

/** Of a token each way; undefined without a price, or where it is free. */
function toLogPrice(price: Price | undefined): number | undefined {
  const both = price ? price.inputUsdPerToken + price.outputUsdPerToken : 0;
  return both > 0 ? Math.log(both) : undefined;
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / Math.max(1, values.length);
}
