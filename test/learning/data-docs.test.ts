/** The examples of docs/data.md are read as it says. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalFile } from "../../src/learning/data/input-file.ts";
import { readLabels } from "../../src/learning/data/labels.ts";
import { createReadContext, readFile } from "../../src/learning/data/read-rows.ts";
import type { DataRow } from "../../src/learning/data/row.ts";
import { readPrices } from "../../src/learning/dataset.ts";

const folder = mkdtempSync(join(tmpdir(), "routeiq-docs-"));
afterAll(() => rmSync(folder, { recursive: true }));

const text = readFileSync(join(import.meta.dir, "../../docs/data.md"), "utf8");
const examples = [...text.matchAll(/^```\w+ file=(\S+)(.*)\n([\s\S]*?)^```$/gm)].map(
  ([, name = "", rest = "", body = ""]) => ({ name, rest, body }),
);
for (const { name, body } of examples) writeFileSync(join(folder, name), body);

async function read(name: string, labels?: string): Promise<DataRow[]> {
  const open = (file: string) => openLocalFile(join(folder, file));
  const context = createReadContext();
  const given = labels ? await readLabels([await open(labels)], context.problems) : undefined;
  const rows = await Array.fromAsync(readFile(await open(name), { ...context, labels: given }));
  expect(context.problems.first).toEqual([]);
  return rows;
}

/** File, rows, the first row's query, its models with their scores. */
const expected: readonly (readonly [string, number, string, Record<string, number>])[] = [
  ["rows.jsonl", 1, "What is 2+2?", { "gpt-4o": 1, small: 0.5 }],
  [
    "routing_data.jsonl",
    1,
    "Which is a planet?\nA. Mars\nB. The Sun",
    { "qwen2.5-7b": 1, "gemma-2-9b": 0 },
  ],
  ["dcrouter.json", 2, "Which is a planet?", { "qwen2.5-7b": 1, "gemma-2-9b": 0 }],
  ["gmtrouter.jsonl", 2, "Write a haiku about rain.", { "gpt-4": 8 / 9 }],
  ["personalized.csv", 1, "Ann has 3 apples, Bob 4. How many?", { "gpt-4o": 1, small: 0 }],
  ["llmrouterbench.json", 1, "Find x.", { "gpt-4o": 1 }],
  ["routerbench.csv", 2, "Which is a planet?\nA) Mars\nB) The Sun", { "gpt-4": 1, mixtral: 0 }],
  ["jaeger.json", 1, "What is 2+2?", { "gpt-4o": 0.9 }],
  ["otlp.jsonl", 1, "What is 2+2?", { "gpt-4o": 0.8 }],
];

test.each(expected)("%s", async (name, count, query, scores) => {
  const rows = await read(name);
  expect(rows).toHaveLength(count);
  expect(rows[0]?.query).toBe(query);
  const outcomes = [...(rows[0]?.outcomes ?? [])].map(([model, { score }]) => [model, score]);
  expect(Object.fromEntries(outcomes)).toEqual(scores);
});

test("every example is tested", () => {
  const tested = [...expected.map(([name]) => name), "models.json", "labels.jsonl"].sort();
  expect(examples.map(({ name }) => name).sort()).toEqual(tested);
});

test("costs, tokens and times come along", async () => {
  const [wide] = await read("routerbench.csv");
  expect(wide?.outcomes.get("gpt-4")?.costUsd).toBe(0.003);
  expect(wide?.category).toBe("arc-challenge");
  const [span] = await read("jaeger.json");
  const outcome = { score: 0.9, inputTokens: 9, outputTokens: 5, latencyMs: 1500 };
  expect(span?.outcomes.get("gpt-4o")).toEqual(outcome);
  expect(span?.label).toBe("judge");
  const [gmt] = await read("gmtrouter.jsonl");
  expect([gmt?.user, gmt?.label, gmt?.session]).toEqual(["user-7", "feedback", "81"]);
});

test("labels stand above what the span says", async () => {
  const [span] = await read("jaeger.json", "labels.jsonl");
  expect(span?.outcomes.get("gpt-4o")?.score).toBe(0.25);
  expect(span?.label).toBe("feedback");
});

test("prices lie beside the rows", async () => {
  const prices = await readPrices(join(folder, "rows.jsonl"));
  expect(prices.get("gpt-4o")).toEqual({ input: 2.5, output: 10, sizeB: 200 });
});
