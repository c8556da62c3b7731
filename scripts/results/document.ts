/** docs/RESULTS.md out of what was measured. */
import type { Interval } from "../../src/learning/evidence/bootstrap.ts";
import { strategyNames } from "../../src/routing/strategies/registry.ts";
import {
  type Entry,
  type Latency,
  type Newcomer,
  type Results,
  sets,
  type Transfer,
} from "./results.ts";

/** What the project holds itself to: AIQ on the test split that `auto` is to reach. */
const goals: Readonly<Record<string, number>> = {
  "mmlu-pro": 0.722,
  "bfcl-tools": 0.923,
  "llmrouter-default": 0.636,
  "routerbench-part": 0.849,
};

export function toDocument(results: Results): string {
  const entry = (set: string, strategy: string): Entry | undefined => {
    const found = results[`${set}/${strategy}`];
    return found?.kind === "entry" ? found : undefined;
  };
  const names = ["auto", ...strategyNames];
  const measured = sets.filter((set) => names.some((name) => entry(set, name)));
  return `# Results

<!-- Made by \`bun scripts/results.ts\`; do not edit. -->

What every strategy is worth on queries that it was not trained on: trained on the \`train\` splits of five public sets of real models' graded answers with our defaults and seed 1, measured on their \`test\` splits. **AIQ** is the mean height of the quality-cost curve between the cheapest and the dearest model (RouterBench); the **zero-router** is the hull of the fixed models, chosen with the test results in hand; intervals are 95 %, by paired bootstrap over queries, 200 rounds. A set's best figures lie within each other's intervals: what separates strategies there is mostly luck. The figures are repeated by \`bun scripts/results.ts --data FOLDER\`; only the times differ from machine to machine.

## Overview

AIQ on the test split.

${table(
  ["strategy", ...measured],
  [
    ...names
      .filter((name) => measured.some((set) => entry(set, name)))
      .map((name) => [name, ...measured.map((set) => fix(entry(set, name)?.aiq.value))]),
    ...baselineRows(measured, names, entry),
    ["goal for auto", ...measured.map((set) => fix(goals[set]))],
  ],
)}

${toChoices(measured, entry)}

${toAll(measured, names, results)}

${toPairs(measured, names, entry)}

${toTransfer(measured, results)}

${toNewcomers(measured, results)}

${toLatency(measured, results)}
`;
}

type Find = (set: string, strategy: string) => Entry | undefined;

function baselineRows(measured: readonly string[], names: readonly string[], entry: Find) {
  const of = (set: string) => names.map((name) => entry(set, name)).find(Boolean)?.baselines;
  return [
    ["*zero-router*", ...measured.map((set) => fix(of(set)?.zero))],
    ["*query length*", ...measured.map((set) => fix(of(set)?.length))],
    ["*category table*", ...measured.map((set) => fix(of(set)?.category))],
    ["*random* (quality)", ...measured.map((set) => fix(of(set)?.random))],
    ["*best single* (quality)", ...measured.map((set) => fix(of(set)?.best.quality))],
    ["*oracle*", ...measured.map((set) => fix(of(set)?.oracle))],
  ];
}

function toChoices(measured: readonly string[], entry: Find): string {
  const lines = measured.flatMap((set) => {
    const found = entry(set, "auto");
    return found?.why ? [`- ${set}: ${found.why}.`] : [];
  });
  return lines.length > 0
    ? `What \`auto\` chose, by cross-validation on train:\n\n${lines.join("\n")}`
    : "";
}

/** One table of everything, and who refused. */
function toAll(measured: readonly string[], names: readonly string[], results: Results): string {
  const rows = measured.flatMap((set) =>
    names.flatMap((name) => {
      const found = results[`${set}/${name}`];
      return found?.kind === "entry" ? [[set, name, ...toCells(found)]] : [];
    }),
  );
  const refused = measured.flatMap((set) =>
    names.flatMap((name) => {
      const found = results[`${set}/${name}`];
      return found?.kind === "refused" ? [`- ${set}: ${found.why}`] : [];
    }),
  );
  const facts = measured.flatMap((set) => {
    const found = names.map((name) => results[`${set}/${name}`]);
    const first = found.find((one) => one?.kind === "entry");
    if (first?.kind !== "entry") return [];
    const { rows: count, models, zero, best } = first.baselines;
    return [
      `- ${set}: ${count} test queries, ${models} models; zero-router ${fix(zero)}, best single ${best.name} (${fix(best.quality)})`,
    ];
  });
  return `## Every strategy on every set

${facts.join("\n")}

Gain: of the dial alone over the zero-router (AIQ counts the fixed models beside it that training could not tell from its hull). Control: the same choices dealt to other queries, over the zero-router. APGR: the share of the gap between the cheapest and the best model that is recovered, averaged over the costs between them; CPT(x): the least share of that cost range that recovers x of the gap (a coin between the two gives .5, 50 %, 80 %).

${table(["set", "strategy", "AIQ", "gain", "APGR", "CPT(50 %)", "CPT(80 %)", "control", "best quality", "cost at 98 % of the best single", "calibration error", "training (CPU), artifact"], rows)}${refused.length > 0 ? `\n\nRefused, and so not measured:\n\n${refused.join("\n")}` : ""}`;
}

function toCells(found: Entry): string[] {
  const { aiq, gain, control, cost98, calibrationError, cpuSeconds, bytes, maxQuality } = found;
  return [
    interval(aiq),
    `${signed(gain.value)} [${signed(gain.low)}, ${signed(gain.high)}]`,
    interval(found.apgr, 3),
    share(found.cpt50),
    share(found.cpt80),
    signed(control),
    fix(maxQuality),
    percent(cost98.value),
    fix(calibrationError, 3),
    `${cpuSeconds.toFixed(0)} s, ${(bytes / 1e6).toFixed(1)} MB`,
  ];
}

function toPairs(measured: readonly string[], names: readonly string[], entry: Find): string {
  const rows = measured.flatMap((set) =>
    names.flatMap((name) => {
      const pair = entry(set, name)?.pair;
      if (!pair) return [];
      const { apgr, cpt50, cpt80 } = pair;
      return [[set, name, interval(apgr, 3), share(cpt50), share(cpt80)]];
    }),
  );
  if (rows.length === 0) return "";
  return `## Pairs

RouteLLM's measures, by the share of calls to the strong model; chance gives .5, 50 %, 80 %; RouteLLM's best published on MMLU: .603, 35.4 %, 70–72 %.

${table(["set", "strategy", "APGR", "CPT(50 %)", "CPT(80 %)"], rows)}`;
}

function toTransfer(measured: readonly string[], results: Results): string {
  const rows = measured.flatMap((set) => {
    const found = results[`${set}/transfer`];
    if (found?.kind !== "transfer") return [];
    return (found satisfies Transfer).folds.map(({ heldOut, gain, fixedGain }) => [
      set,
      heldOut.length > 4
        ? `${heldOut.slice(0, 4).join(", ")} and ${heldOut.length - 4} more`
        : heldOut.join(", "),
      `${signed(gain.value)} [${signed(gain.low)}, ${signed(gain.high)}]`,
      signed(fixedGain),
    ]);
  });
  if (rows.length === 0) return "";
  return `## On kinds of query that training did not have

\`auto\`, trained on two thirds of a train split's categories and measured on the others. The zero-router chooses its models with the results in hand; what the models on the training rows' hull give there is beside: nothing that learns from the training rows alone can do better than its luck.

${table(["set", "held out", "gain over the zero-router", "fixed models as training ranks them"], rows)}`;
}

function toNewcomers(measured: readonly string[], results: Results): string {
  const found = measured.flatMap((set) => {
    const one = results[`${set}/newcomer`];
    return one?.kind === "newcomer" ? [{ set, one: one satisfies Newcomer }] : [];
  });
  if (found.length === 0) return "";
  return `## A new model

Each set's best model as a newcomer: the other models are known on all training rows, the newcomer on some. Quality on the test split at a trade-off of 0.9 (\`llmrouter-ensemble\`), and the share of the newcomer's worth.

${table(
  [
    "set",
    "newcomer",
    ...(found[0]?.one.worth ?? []).map(({ labels }, at, all) =>
      at === all.length - 1 ? "all" : `${labels} labels`,
    ),
  ],
  found.map(({ set, one: { model, worth } }) => {
    const none = worth[0]?.quality ?? 0;
    const all = worth.at(-1)?.quality ?? 0;
    return [
      set,
      model,
      ...worth.map(({ quality }, at) =>
        at === 0
          ? fix(quality)
          : `${fix(quality)} (${Math.round((100 * (quality - none)) / (all - none))} %)`,
      ),
    ];
  }),
)}`;
}

function toLatency(measured: readonly string[], results: Results): string {
  const blocks = measured.flatMap((set) => {
    const found = results[`${set}/latency`];
    if (found?.kind !== "latency") return [];
    const { points, best } = found satisfies Latency;
    const rows = points
      .filter((point, at) => at === 0 || point.seconds < (points[at - 1]?.seconds ?? 0) * 0.97)
      .map(({ seconds, quality }) => [seconds.toFixed(2), fix(quality)]);
    return [
      `${set}: \`auto\` at a trade-off of 1, by the weight of latency in the utility; the best single model, ${best.name}, reaches ${fix(best.quality)} in ${best.seconds.toFixed(2)} s.\n\n${table(["mean latency, s", "quality"], rows)}`,
    ];
  });
  return blocks.length > 0 ? `## Latency\n\n${blocks.join("\n\n")}` : "";
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const fix = (value: number | undefined, digits = 4) =>
  value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(digits).replace(/^0/, "");
const signed = (value: number) => `${value >= 0 ? "+" : "−"}${fix(Math.abs(value))}`;
const interval = ({ value, low, high }: Interval, digits = 4) =>
  `${fix(value, digits)} [${fix(low, digits)}, ${fix(high, digits)}]`;
const percent = (value: number) =>
  Number.isFinite(value) ? `${(value * 100).toFixed(0)} %` : "not reached";
const share = ({ value, low, high }: Interval) =>
  !Number.isFinite(value)
    ? "not reached"
    : `${(value * 100).toFixed(1)} % [${(low * 100).toFixed(1)}, ${(high * 100).toFixed(1)}]`;
