/** docs/BEYOND.md out of what was measured. */
import type { Newcomer, Nothing } from "../results/results.ts";
import type { Between } from "./between-sets.ts";
import type { Cascade } from "./cascade.ts";
import type { DayZero } from "./day-zero.ts";
import type { LatencyHull } from "./latency.ts";

/** By `day-zero/<set>`, `between/<from>/<to>`, `newcomer/<set>`, `latency/<set>`, `cascade/<set>`. */
export type Beyond = Readonly<Record<string, unknown>>;

export function toDocument(results: Beyond): string {
  const of = <T>(prefix: string) =>
    Object.entries(results).flatMap(([key, value]) =>
      key.startsWith(prefix) && value ? [[key.slice(prefix.length), value as T] as const] : [],
    );
  return `# Beyond the training data

<!-- Made by \`bun scripts/beyond.ts\`; do not edit. -->

What holds where a router's training data end: before there are any, for a model or for traffic that they did not have, for latency, and for a cascade. Public sets of real models' graded answers; tuned on their \`train\` splits alone, measured on their \`test\` splits; AIQ and the zero-router as in [RESULTS.md](RESULTS.md). Other kinds of query of the same set stand there.

${toDayZero(of<DayZero>("day-zero/"))}

${toBetween(of<Between>("between/"))}

${toNewcomers(of<Newcomer | Nothing>("newcomer/"))}

${toLatency(of<LatencyHull>("latency/"))}

${toCascades(of<Cascade>("cascade/"))}
`;
}

type Of<T> = readonly (readonly [string, T])[];

function toDayZero(found: Of<DayZero>): string {
  if (found.length === 0) return "";
  return `## Day 0

The [catalog prior](routing.md#before-there-is-a-trained-router): no row of the set, no trained router. "Held out": the weights of the need fitted on the other sets, and the set's models struck out of the table of abilities, so that relatives, size and price must do; in brackets its 95 % interval. The random mix draws a model evenly for each query. The zero-router knows the test results.

${table(
  [
    "set",
    "zero-router",
    "prior as shipped",
    "prior, held out",
    "random mix",
    "cheapest",
    "best single",
    "prior's best, held out",
    "default dial, held out: quality at cost over the mix's (the mix's quality)",
  ],
  found.map(([set, one]) => [
    set,
    fix(one.zero),
    fix(one.prior),
    `${fix(one.heldOut)} [${fix(one.heldLow)}, ${fix(one.heldHigh)}]`,
    fix(one.random),
    fix(one.cheapest.quality),
    fix(one.best.quality),
    fix(one.most),
    `${fix(one.half.quality)} at ${one.half.cost.toFixed(2)} × (${fix(one.mix.quality)})`,
  ]),
)}${found
  .flatMap(([set, { apgr }]) =>
    apgr === undefined ? [] : [`\n\nAPGR on ${set}, held out: ${fix(apgr, 3)} (chance .5).`],
  )
  .join("")}`;
}

function toBetween(found: Of<Between>): string {
  if (found.length === 0) return "";
  return `## Between sets

\`llmrouter-ensemble\` trained on one set's train split and measured on another's test split, over the models that both have (the minor versions of Mixtral 8x7B and of Mistral 7B taken for one). Do no harm means a gain of at least −.002.

${table(
  ["trained on", "measured on", "models", "zero-router", "gain", "mean novelty"],
  found.map(([, { from, to, models, zero, gain, low, high, novelty }]) => [
    from,
    to,
    models.join(", "),
    fix(zero),
    `${signed(gain)} [${signed(low)}, ${signed(high)}]`,
    novelty.toFixed(2),
  ]),
)}`;
}

function toNewcomers(found: Of<Newcomer | Nothing>): string {
  const known = found.flatMap(([set, one]) => (one.kind === "newcomer" ? [{ set, one }] : []));
  if (known.length === 0) return "";
  return `## A new model

Each set's best model as a newcomer: the others are known on all training rows, it on some (\`llmrouter-ensemble\`, trade-off 0.9). Quality, and the share of what it is worth when known on all rows. Without a label it is placed by the prior. Where it is worth next to nothing the share means nothing; what counts there is that it does no harm.

${table(
  [
    "set",
    "newcomer",
    ...(known[0]?.one.worth ?? []).map(({ labels }, at, all) =>
      at === all.length - 1 ? "all" : `${labels} labels`,
    ),
  ],
  known.map(({ set, one: { model, worth } }) => {
    const none = worth[0]?.quality ?? 0;
    const all = worth.at(-1)?.quality ?? 0;
    const share = (quality: number) =>
      Math.abs(all - none) < leastWorth
        ? ""
        : ` (${Math.round((100 * (quality - none)) / (all - none))} %)`;
    return [
      set,
      model,
      ...worth.map(({ quality }, at) => `${fix(quality)}${at === 0 ? "" : share(quality)}`),
    ];
  }),
)}`;
}

/** Quality below which a newcomer's worth is noise: a test split's standard error is .01 to .02. */
const leastWorth = 0.01;

function toLatency(found: Of<LatencyHull>): string {
  return found
    .map(
      ([set, { rows }]) => `## Latency

${set}, \`llmrouter-ensemble\`, trade-off 1: quality at a mean latency, along the weights of latency (a mixture of the two neighbours between them). "Foreseen": with every call's latency known beforehand and the same predicted qualities, which no prediction of latency can pass. In cross-validation on the train split better models of latency (stronger shrinkage, a factor common to all models, trimmed tails) moved the figure at 0.98 s by less than .004, so the plain one stays.

${table(
  ["mean latency, s", "router", "fixed models", "foreseen"],
  rows.map(({ seconds, router, fixed, foreseen }) => [
    seconds.toFixed(2),
    fix(router),
    fix(fixed),
    fix(foreseen),
  ]),
)}`,
    )
    .join("\n\n");
}

function toCascades(found: Of<Cascade>): string {
  if (found.length === 0) return "";
  return `## The cascade (\`llmrouter-automix\`), with a simulated verifier

The sets hold answers' scores and costs, and no verdicts. So the small model's answers are theirs, and the verifier is **simulated** from the recorded correctness: each of its 8 verdicts is right with the stated probability, and all of them cost as much as the small answer again. The rule is fitted on the train split. This says what the rule is worth with a verifier that good, not how good any model is as one: AutoMix's own are right about 55 to 75 times in 100, and on a model's verdicts errors repeat themselves more than here. Schema checks, which cost nothing, cannot be replayed: the sets do not hold the answers' text. Small and large are the ends of the hull on the train split.

${table(
  [
    "set",
    "small → large",
    "verdicts right",
    "escalated",
    "quality",
    "USD per 1,000",
    "over the line between the two",
    "over all fixed models",
  ],
  found.flatMap(([set, { small, large, rows }]) =>
    rows.map(({ accuracy, quality, cost, escalated, overLine, overFixed }) => [
      set,
      `${small} → ${large}`,
      `${Math.round(accuracy * 100)} %`,
      `${Math.round(escalated * 100)} %`,
      fix(quality),
      (cost * 1000).toFixed(3),
      signed(overLine),
      signed(overFixed),
    ]),
  ),
)}

\`llmrouter-causallm\`, \`-r1\` and the multi-round ones have no such table: what they are worth is what the language model behind them chooses or writes, and no public set records that. Their protocols are tested (\`test/policies.test.ts\`); measure yours on your own traffic with \`routeiq eval --events\`.`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const fix = (value: number, digits = 4) =>
  Number.isFinite(value) ? value.toFixed(digits).replace(/^0/, "") : "–";
const signed = (value: number) => `${value >= 0 ? "+" : "−"}${fix(Math.abs(value))}`;
