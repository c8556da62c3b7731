/** Whoever makes a query's features, they are the same. */
import { expect, test } from "bun:test";
import type { RoutingQuery } from "../domain/features.ts";
import { createFeatureExtractor } from "./features.ts";
import { toToolText } from "./lexical.ts";
import { createStaticEmbedder } from "./static.ts";
import { createUnreadExtractor } from "./unread-features.ts";

const weather = {
  name: "get_weather",
  description: "Weather of a town",
  parameters: { type: "object", properties: { town: { type: "string", enum: ["Ulm", "Köln"] } } },
};

const cases: [string, RoutingQuery][] = [
  ["nothing", { text: "", tools: [] }],
  ["a question", { text: "What is 17 * 23?", tools: [] }],
  ["another script", { text: "日本の首都はどこですか。naïve 😀", tools: [] }],
  ["half a surrogate pair", { text: "a \ud83d b", tools: [] }],
  ["a long text", { text: "def f(x):\n  return x + 1\n".repeat(300), tools: [] }],
  ["tools", { text: "Is it raining in Ulm?", tools: [weather, { name: "search" }] }],
];

test.each(cases)("%s", async (_name, query) => {
  const whole = createFeatureExtractor(createStaticEmbedder());
  const extract = createUnreadExtractor();
  const features = await whole.extract(query);
  const { text, tools } = query;
  const toolText = tools.length === 0 ? "" : toToolText(tools);
  const unread = { text, toolCount: tools.length, toolText, extract: true, keep: false };
  expect(extract(unread)).toEqual(features);
});
