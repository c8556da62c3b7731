/** docs/BEYOND.md out of what was measured. */
import type { Nothing, Transfer } from "../results/results.ts";
import type { Between } from "./between-sets.ts";
import type { Cascade } from "./cascade.ts";
import type { DayZero } from "./day-zero.ts";
import type { LatencyHull } from "./latency.ts";
import type { Logged } from "./logged.ts";
import type { NewcomerWorth } from "./newcomers.ts";

/** By `day-zero/<set>`, `between/<from>/<to>`, `category/<set>`, `newcomers/<set>`, `logged/<set>`, `latency/<set>`, `cascade/<set>`. */
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

${toCategories(of<Transfer | Nothing>("category/"))}

${toNewcomers(of<readonly NewcomerWorth[]>("newcomers/"))}

${toLogged(of<Logged>("logged/"))}

${toLatency(of<LatencyHull>("latency/"))}

${toCascades(of<Cascade>("cascade/"))}
`;
}

type Of<T> = readonly (readonly [string, T])[];

function toDayZero(found: Of<DayZero>): string {
  if (found.length === 0) return "";
  return `## Day 0

The [catalog prior](routing.md#before-there-is-a-trained-router): no row of the set, no trained router. "Held out": the weights of the need fitted on the other sets, and the set's models struck out of the table of abilities, so that relatives, size and price must do; in brackets its 95 % interval. The random mix draws a model evenly for each query. The zero-router knows the test results: on day 0 nobody can, and with 31 models the best of them on a test split is partly luck (bfcl-tools' best on the train split is .786 on the test split). What routing itself does is seen beside "fixed models": those that the same held-out abilities and prices put on the hull, every query treated alike; on no set does routing by the query's shape take anything from them.

${table(
  [
    "set",
    "zero-router",
    "prior as shipped",
    "prior, held out",
    "fixed models, held out",
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
    fix(one.fixed),
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

function toNewcomers(found: Of<readonly NewcomerWorth[]>): string {
  const known = found.flatMap(([, models]) => models);
  if (known.length === 0) return "";
  return `## A new model

Models as newcomers: of each set those that the fixed models' hull would miss most. The others are known on all training rows, it on none (then the prior places it, and a hard query does not spare it) or on 200 drawn at random (\`llmrouter-linear\`, for there are many trainings; mean, least and most of the draws). AIQ over the costs of all models, and in brackets the share of the model's full-information worth: what it adds when known on all rows. Where that is under .003 no share is told; what counts there is that it does no harm.

${table(
  ["set", "newcomer", "without it", "0 labels", "200 labels", "all"],
  known.map(({ set, model, without, unlabelled, some, all }) => {
    const worth = all - without;
    const share = (aiq: number) =>
      worth < leastWorth ? "" : ` (${Math.round((100 * (aiq - without)) / worth)} %)`;
    const draws = some[0]?.draws ?? [];
    const mean = draws.reduce((sum, one) => sum + one / draws.length, 0);
    return [
      set,
      model,
      fix(without),
      `${fix(unlabelled)}${share(unlabelled)}`,
      `${fix(mean)} [${fix(Math.min(...draws))}, ${fix(Math.max(...draws))}]${share(mean)}`,
      fix(all),
    ];
  }),
)}`;
}

/** AIQ below which a newcomer's worth is noise. */
const leastWorth = 0.003;

function toCategories(found: Of<Transfer | Nothing>): string {
  const rows = found.flatMap(([set, one]) =>
    one.kind === "transfer"
      ? one.folds.map(({ heldOut, gain, fixedGain }) => [
          set,
          heldOut.length > 4
            ? `${heldOut.slice(0, 4).join(", ")} and ${heldOut.length - 4} more`
            : heldOut.join(", "),
          `${signed(gain.value)} [${signed(gain.low)}, ${signed(gain.high)}]`,
          signed(fixedGain),
          signed(gain.value - fixedGain),
        ])
      : [],
  );
  if (rows.length === 0) return "";
  return `## Between kinds of query

\`llmrouter-ensemble\` trained on two thirds of a train split's categories and measured on the others. The zero-router chooses its models with the results in hand; the fixed models that the training rows put on their hull did not know them either. What lies between these two is no router's doing (which models are good at the new kind), and the last column is: what routing adds to, or takes from, the fixed models that one would have had.

${table(
  ["set", "held out", "over the zero-router", "fixed models, by training", "routing's own part"],
  rows,
)}`;
}

function toLogged(found: Of<Logged>): string {
  const [first] = found;
  if (!first) return "";
  const list = (values: readonly number[]) => values.map((value) => fix(value)).join(", ");
  return `## From a log

Some queries answered by every model, the rest by one each: the best on those with a chance of .8, else evenly one of the best five. Utility is score − 100 × USD on the test split (\`llmrouter-ensemble\`), a value per draw of the log. How sure an estimate from logged calls is: [evidence.md](evidence.md#on-logged-calls); which floors are held: [routing.md](routing.md#floors); calibration errors: [RESULTS.md](RESULTS.md).

${table(
  ["set", "best single model", "shadow set alone", "with the log", "all outcomes known"],
  found.map(([set, { shadow, logged, single, shadowAlone, withLog, whole }]) => [
    `${set}, ${shadow} + ${logged} logged`,
    `${fix(single.utility)} (${single.name})`,
    list(shadowAlone),
    list(withLog),
    fix(whole),
  ]),
)}`;
}

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
