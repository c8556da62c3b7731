/** Data files: what is good is read, what is bad is named by file and line. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createReadContext } from "./data/read-rows.ts";
import { type DataRow, readPrices, readRows } from "./dataset.ts";

const folder = mkdtempSync(join(tmpdir(), "routeiq-data-"));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function read(path: string): Promise<DataRow[]> {
  return await Array.fromAsync(readRows(path));
}

const good = `{"id":"1","query":"q","tools":[{"type":"function","function":{"name":"f"}}],"models":{"a":{"score":1,"cost_usd":0.5,"latency_s":2}},"new_field":[]}\n`;

test.each([
  ["plain", "good.jsonl", good],
  ["gzip", "good.jsonl.gz", Bun.gzipSync(good)],
  ["Zstandard", "good.jsonl.zst", Bun.zstdCompressSync(good)],
  ["no newline at the end", "tail.jsonl", good.trimEnd()],
])("%s rows", async (_name, file, content) => {
  const [row, ...rest] = await read(write(file, content));
  expect(rest).toEqual([]);
  expect(row?.tools).toEqual([{ name: "f" }]);
  expect(row?.outcomes.get("a")).toEqual({ score: 1, costUsd: 0.5, latencyMs: 2000 });
});

test("the reference library's routing_data is gathered by query", async () => {
  const line = (model: string, performance: number) =>
    `${JSON.stringify({ task_name: "math", query: "2+2", ground_truth: "4", metric: "em", choices: null, model_name: model, performance, input_tokens: 5, output_tokens: 7, response_time: 1.5, user_id: null })}\n`;
  const path = write("routing.jsonl", line("a", 1) + line("b", 0.25));
  const [row, ...rest] = await read(path);
  expect(rest).toEqual([]);
  expect(row?.category).toBe("math");
  expect(row?.outcomes.get("b")).toEqual({
    score: 0.25,
    inputTokens: 5,
    outputTokens: 7,
    latencyMs: 1500,
  });
});

const broken = [
  ["not JSON", `{"id":`, /not JSON/],
  ["a list of nothing known", `[1]`, /\[0\]: expected a JSON object/],
  ["a score over 1", good.replace(`"score":1`, `"score":1.5`), /models\["a"\]\.score/],
  ["a negative cost", good.replace("0.5", "-1"), /models\["a"\]\.cost_usd/],
  ["no query", `{"models":{"a":{"score":1}}}`, /"query"/],
  ["query_data", `{"query":"x","task_name":"t"}`, /no outcomes/],
  ["no models", `{"query":"x","models":{}}`, /"models" names no model/],
] as const;

test.each(broken)("%s is named by file and line, and the rest is read", async (name, bad, said) => {
  const path = write(`${name.replaceAll(" ", "-")}.jsonl`, `${good}${bad.trim()}\n${good}`);
  const context = createReadContext();
  expect(await Array.fromAsync(readRows(path, context))).toHaveLength(2);
  expect(context.problems.count).toBe(1);
  expect(context.problems.first[0]).toStartWith(`${path}:2`);
  expect(context.problems.first[0]).toMatch(said);
});

test.each(broken)("%s alone is refused", async (name, bad, said) => {
  const path = write(`only-${name.replaceAll(" ", "-")}.jsonl`, `${bad.trim()}\n`);
  expect(read(path)).rejects.toThrow(said);
});

test("an empty file is refused", async () => {
  expect(read(write("empty.jsonl", ""))).rejects.toThrow(/empty/);
});

test("a file that ends too early gives what came before, and says so", async () => {
  const many = Array.from({ length: 3000 }, (_, i) =>
    good.replace('"q"', `"q${Bun.hash(`${i}`)}"`),
  );
  const whole = Bun.gzipSync(many.join(""));
  const path = write("cut.jsonl.gz", whole.slice(0, whole.length / 2));
  const context = createReadContext();
  const rows = await Array.fromAsync(readRows(path, context));
  expect(rows.length).toBeGreaterThan(100);
  expect(context.problems.first[0]).toMatch(/cannot be read to its end/);
});

test("bad gzip and bad UTF-8 are refused", async () => {
  expect(read(write("bad.jsonl.gz", "no gzip"))).rejects.toThrow(/bad\.jsonl\.gz/);
  expect(read(write("bad.jsonl", new Uint8Array([0x7b, 0xff])))).rejects.toThrow(/not UTF-8/);
  expect(read(join(folder, "absent.jsonl"))).rejects.toThrow(/no such file/);
});

test("prices of both shapes", async () => {
  const data = write("data.jsonl", good);
  write("models.json", `{"a":{"input_usd_per_mtok":2,"output_usd_per_mtok":6,"size":"7B"}}`);
  expect((await readPrices(data)).get("a")).toEqual({ input: 2, output: 6, sizeB: 7 });
  const other = write("llm.json", `{"b":{"input_price":0.2,"output_price":0.3,"size":"x"}}`);
  expect((await readPrices(data, other)).get("b")).toEqual({ input: 0.2, output: 0.3 });
  expect(readPrices(data, join(folder, "none.json"))).rejects.toThrow(/no such file/);
});
