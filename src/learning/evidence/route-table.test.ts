/** Which fixed models stand beside a router's dial: those of training's hull, and what is no worse but by chance. */
import { expect, test } from "bun:test";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Table } from "../table.ts";
import { routeTable } from "./route-table.ts";

const labels = ["cheap", "close", "dear", "poor"];

function routerOf(rows: number | undefined): TrainedRouter {
  return {
    identity: { name: "r", version: 1, sha256: "" },
    strategy: "llmrouter-elo",
    embedderId: "none",
    labels,
    labelQuality: Float32Array.of(0.8, 0.845, 0.9, 0.7),
    labelCostUsd: Float32Array.of(0.001, 0.002, 0.003, 0.002),
    costRefUsd: 0.003,
    ...(rows === undefined ? {} : { rows }),
    dial: [
      { lambda: 0, meanQuality: 0.9, meanCostUsd: 0.003 },
      { lambda: 1, meanQuality: 0.8, meanCostUsd: 0.001 },
    ],
    sync: true,
    score: () => Promise.reject(new Error("not asked")),
    scoreFeatures: () => Promise.reject(new Error("not asked")),
    close: () => undefined,
  };
}

const noRows = {
  n: 0,
  labels,
  features: [],
  costUsd: new Float32Array(),
  quality: new Float32Array(),
  priceUsdPerMtok: Float32Array.of(1, 2, 3, 2),
  sizeB: new Float32Array(labels.length).fill(Number.NaN),
} as unknown as Table;

test.each([
  ["few rows cannot tell them apart", 500, ["cheap", "close", "dear"]],
  ["many rows can", 50_000, ["cheap", "dear"]],
  ["where nobody said how many rows, the hull alone", undefined, ["cheap", "dear"]],
])("%s", async (_, rows, kept) => {
  const { fixed } = await routeTable(routerOf(rows), noRows);
  expect(fixed.map(({ name }) => name)).toEqual(kept.map((name) => `fixed=${name}`));
});
