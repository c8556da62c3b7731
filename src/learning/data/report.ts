/**
 * What a training run learnt from, in numbers: rows read and left out, duplicates, groups, how each
 * model is represented, and where its scores are from. Printed, written as JSON, and kept in the
 * release's provenance.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { DataProblems } from "./problems.ts";
import type { Skipped } from "./read-rows.ts";
import { type LabelSource, labelSources, type Outcome } from "./row.ts";

export interface ModelShare {
  readonly model: string;
  /** Rows with an outcome of it. */
  readonly observed: number;
  readonly meanScore: number;
  /** Of the rows with several outcomes, the share where it is (one of) the best. */
  readonly bestShare: number;
}

export interface DataReport {
  /** Rows after duplicates were dropped. */
  readonly rows: number;
  readonly duplicates: number;
  /** Rows that share their group with an earlier one: never on both sides of a split. */
  readonly nearDuplicates: number;
  readonly groups: number;
  readonly largestGroup: number;
  /** Missing: every row is learnt from as it is. */
  readonly condensed?: { readonly from: number; readonly to: number };
  /** Rows per source of their scores; those without any are left out. */
  readonly labels: Readonly<Partial<Record<LabelSource, number>>>;
  readonly models: readonly ModelShare[];
}

export interface Tally {
  add(outcomes: ReadonlyMap<string, Outcome>, label: LabelSource): void;
  readonly rows: number;
  labels(): DataReport["labels"];
  models(): readonly ModelShare[];
}

export function createTally(): Tally {
  const labels = new Map<LabelSource, number>();
  const models = new Map<string, { observed: number; sum: number; best: number }>();
  let rows = 0;
  let compared = 0;
  return {
    add(outcomes, label) {
      rows++;
      labels.set(label, (labels.get(label) ?? 0) + 1);
      let top = -1;
      for (const { score } of outcomes.values()) top = Math.max(top, score);
      if (outcomes.size > 1) compared++;
      for (const [model, { score }] of outcomes) {
        let entry = models.get(model);
        if (!entry) {
          entry = { observed: 0, sum: 0, best: 0 };
          models.set(model, entry);
        }
        entry.observed++;
        entry.sum += score;
        if (outcomes.size > 1 && score === top) entry.best++;
      }
    },
    get rows() {
      return rows;
    },
    labels: () =>
      Object.fromEntries(
        labelSources.flatMap((source) => {
          const count = labels.get(source);
          return count === undefined ? [] : [[source, count]];
        }),
      ),
    models: () =>
      [...models]
        .map(([model, { observed, sum, best }]) => ({
          model,
          observed,
          meanScore: sum / observed,
          bestShare: compared > 0 ? best / compared : 0,
        }))
        .sort((a, b) => (a.model < b.model ? -1 : 1)),
  };
}

/** What was met beside rows. */
export interface ReadingReport {
  readonly problems: Pick<DataProblems, "count" | "first">;
  readonly skipped: Skipped;
}

const labelWords: Readonly<Record<LabelSource, string>> = {
  full: "full information",
  given: "given by the file",
  feedback: "feedback",
  judge: "judge",
  implicit: "implicit signs",
  shadow: "shadow",
  outcome: "failed calls",
};

/** Lines for a reader. */
export function toReportLines(report: DataReport, { problems, skipped }: ReadingReport): string[] {
  const { rows, duplicates, nearDuplicates, groups, largestGroup, condensed } = report;
  const lines = [
    `data: ${rows} rows in ${groups} groups of like queries (largest ${largestGroup}); ` +
      `${duplicates} duplicates dropped, ${nearDuplicates} near-duplicates kept on one side of every split`,
  ];
  if (condensed) {
    lines.push(
      `  condensed: ${condensed.from} rows to ${condensed.to} that stand for them, each with their weight and mean outcomes`,
    );
  }
  const labels = Object.entries(report.labels).map(
    ([source, count]) => `${labelWords[source as LabelSource]} ${count}`,
  );
  lines.push(`  labels: ${labels.join(", ") || "none"}`);
  const compared = report.models.some(({ bestShare }) => bestShare > 0);
  for (const { model, observed, meanScore, bestShare } of report.models.slice(0, shownModels)) {
    const share = ((100 * observed) / Math.max(1, rows)).toFixed(1);
    const best = compared ? `, best or equal on ${(100 * bestShare).toFixed(1)} %` : "";
    lines.push(
      `  ${model}: ${observed} outcomes (${share} % of rows), mean score ${meanScore.toFixed(3)}${best}`,
    );
  }
  if (report.models.length > shownModels) {
    lines.push(`  … and ${report.models.length - shownModels} models more (--json has all)`);
  }
  const left = [
    [problems.count, "rows that cannot be read"],
    [skipped.unlabelled, "calls of which nobody said how good they were"],
    [skipped.withoutText, "calls without their prompt"],
    [skipped.otherSpans, "spans that are no model calls"],
  ] as const;
  const out = left.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  if (out.length > 0) lines.push(`  left out: ${out.join(", ")}`);
  return lines;
}

const shownModels = 40;

/** For `--json`. */
export function toReportJson(report: DataReport, { problems, skipped }: ReadingReport) {
  return { ...report, bad_rows: problems.count, bad: problems.first, skipped: { ...skipped } };
}

/** For the release: whole numbers and texts, as canonical JSON has no fractions. */
export function toDataProvenance(report: DataReport, { problems }: ReadingReport): JsonObject {
  const { rows, duplicates, nearDuplicates, groups, condensed } = report;
  return {
    rows,
    duplicates,
    near_duplicates: nearDuplicates,
    groups,
    bad_rows: problems.count,
    labels: { ...report.labels },
    models: Object.fromEntries(
      report.models.map(({ model, observed, meanScore, bestShare }) => [
        model,
        { observed, mean_score: meanScore.toFixed(4), best_share: bestShare.toFixed(4) },
      ]),
    ),
    ...(condensed ? { condensed: { from: condensed.from, to: condensed.to } } : {}),
  };
}
