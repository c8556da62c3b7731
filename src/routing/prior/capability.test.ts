/** What a model's name is read for: the table's row, its relatives, or the facts. */
import { describe, expect, test } from "bun:test";
import { arenaTable } from "./arena-table.ts";
import { createCapabilities, toKey } from "./capability.ts";
import { capabilityTable } from "./capability-table.ts";

const capabilityOf = createCapabilities();

test.each([
  ["openai/gpt-4o-2024-08-06", "gpt-4o-2024-08-06"],
  ["openrouter/anthropic/claude-3.5-sonnet:beta", "claude-3-5-sonnet"],
  ["bedrock/us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"],
  ["meta-llama/Meta-Llama-3.1-8B-Instruct", "llama-3-1-8b"],
  ["mistral-7b-instruct-v0.2", "mistral-7b"],
  ["gemini/gemini-2.5-pro-preview-05-06", "gemini-2-5-pro-05-06"],
  ["", ""],
])("%s is looked up as %s", (name, key) => {
  expect(toKey(name)).toBe(key);
});

describe("where an index comes from", () => {
  const cases: readonly [string, "table" | "rating" | "relative" | "facts", number, number][] = [
    // name, from, at least, at most
    ["openai/gpt-5-2025-08-07", "table", 150, 150],
    ["azure/gpt-4-0613", "table", 121.7, 121.7],
    ["gemini/gemini-2.5-pro-preview-05-06", "table", 146.2, 146.2],
    ["anthropic/claude-opus-5-5", "relative", 151, 160], // later than any in the table
    ["mistral-medium-2402", "relative", 115, 125], // years before the one in the table
    ["nvidia/llama-3.1-mynemo-51b-instruct", "relative", 122, 125], // by size within 3.1
    ["databricks/dbrx-instruct", "rating", 112, 116], // people's votes, where the index has nothing
    ["amazon.nova-pro-v1:0", "rating", 124, 129],
    ["wizardlm-13b-v1.2", "rating", 105, 112],
    ["claude-v1", "rating", 117, 121], // abler than Claude 2 by votes, whatever its number says
    ["acme/nobody-knows-it", "facts", 110, 125],
  ];
  test.each(cases)("%s: %s", (name, from, least, most) => {
    const found = capabilityOf({ name, sizeB: /(\d+)b/.test(name) ? 51 : undefined });
    expect(found.from).toBe(from);
    expect(found.index).toBeGreaterThanOrEqual(least);
    expect(found.index).toBeLessThanOrEqual(most);
  });

  test("gpt-4.1 is no build of gpt-4, and mini is another model", () => {
    const of = (name: string) => capabilityOf({ name }).index;
    expect(of("gpt-4.1")).toBe(137.4);
    expect(of("gpt-4o-mini")).toBe(127);
    expect(of("gpt-5-mini-2025-08-07")).toBe(144.2);
  });

  test("of unknown ones, dearer, larger, newer and thinking ones are thought abler", () => {
    const plain = capabilityOf({ name: "acme-x" }).index;
    const usual = { name: "acme-x", usdPerMtok: 2, sizeB: 40, contextTokens: 32_000 };
    for (const more of [{ usdPerMtok: 20 }, { sizeB: 200 }, { contextTokens: 1e6 }]) {
      expect(capabilityOf({ ...usual, ...more }).index).toBeGreaterThan(plain + 3);
    }
    expect(capabilityOf({ ...usual, reasoning: true }).index).toBeGreaterThan(plain + 3);
  });

  test("less is claimed of what is less known", () => {
    const spread = (name: string) => capabilityOf({ name }).spread;
    expect(spread("gpt-5")).toBeLessThan(spread("gpt-5.9"));
    expect(spread("gpt-5.9")).toBeLessThan(spread("acme-x"));
  });
});

test("the table is well formed: a lower-case key and a number each, no key twice", () => {
  const rows = capabilityTable.trim().split("\n");
  expect(rows.filter((row) => !/^[a-z0-9-]+ \d{2,3}\.\d$/.test(row))).toEqual([]);
  const keys = rows.map((row) => row.split(" ")[0] ?? "");
  expect(keys.length).toBe(new Set(keys).size);
  expect(keys.filter((key) => toKey(key) !== key)).toEqual([]);
});

test("so are the ratings, and no model has an index and a rating", () => {
  const rows = arenaTable.trim().split("\n");
  expect(rows.filter((row) => !/^[a-z0-9-]+ \d{3,4}$/.test(row))).toEqual([]);
  const keys = rows.map((row) => row.split(" ")[0] ?? "");
  expect(keys.length).toBe(new Set(keys).size);
  expect(keys.filter((key) => toKey(key) !== key)).toEqual([]);
  expect(keys.filter((name) => capabilityOf({ name }).from !== "rating")).toEqual([]);
});

test("relatives left out of the table are placed within some seven points of it", () => {
  let square = 0;
  let count = 0;
  for (const row of capabilityTable.trim().split("\n")) {
    const [key = "", index] = row.split(" ");
    const guessed = createCapabilities((one) => one === key || one.startsWith(`${key}-2`));
    const found = guessed({ name: key });
    if (found.from !== "relative") continue;
    square += (found.index - Number(index)) ** 2;
    count++;
  }
  expect(count).toBeGreaterThan(50);
  expect(Math.sqrt(square / count)).toBeLessThan(7);
});
