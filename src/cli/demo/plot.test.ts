/** The plot puts a point where its numbers say. */
import { expect, test } from "bun:test";
import { formatUsd, plot } from "./plot.ts";

const at = (lines: readonly string[], mark: string) => {
  const row = lines.findIndex((line) => line.includes(mark));
  return { row, column: lines[row]?.indexOf(mark) ?? -1 };
};

test("dearer is further right, better is higher", () => {
  const lines = plot(
    [
      { label: "cheap", mark: "a", costUsd: 0.01, quality: 0.5 },
      { label: "dear", mark: "b", costUsd: 1, quality: 0.9 },
      { label: "routed", mark: "◆", costUsd: 0.1, quality: 0.95 },
    ],
    { costTitle: "cost" },
  );
  const [a, b, routed] = [at(lines, "a"), at(lines, "b"), at(lines, "◆")];
  expect(a.column).toBeLessThan(routed.column);
  expect(routed.column).toBeLessThan(b.column);
  expect(routed.row).toBeLessThan(b.row);
  expect(b.row).toBeLessThan(a.row);
  expect(new Set(lines.slice(0, 14).map((line) => line.length)).size).toBe(1);
});

test("one point, or none with a cost, still draws", () => {
  const one = { label: "x", mark: "x", costUsd: 1, quality: 1 };
  expect(plot([one], { costTitle: "cost" }).join("")).toContain("x");
  expect(plot([{ ...one, costUsd: 0 }], { costTitle: "cost" })).toHaveLength(1);
});

test.each([
  [1234.5, "$1235"],
  [12.3, "$12.30"],
  [0.00421, "$0.0042"],
] as const)("%d dollars read %s", (usd, text) => expect(formatUsd(usd)).toBe(text));
