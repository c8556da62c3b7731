/** The dial as callers write it: what is understood, and what is refused with the way to write it. */
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../domain/errors.ts";
import { parseFloor, readDial } from "./dial.ts";

const headers = (fields: Record<string, string>) => new Headers(fields);

test("nothing is read where nothing is sent", () => {
  expect(readDial(headers({}))).toBeUndefined();
});

test.each([
  [{ "x-routeiq-tradeoff": "0.8" }, { tradeoff: 0.8 }],
  [{ "x-routeiq-latency-weight": "2" }, { latencyWeight: 2 }],
  [
    { "x-routeiq-floor": "0.95@gpt-4o", "x-routeiq-tradeoff": "0" },
    { tradeoff: 0, floor: { share: 0.95, model: "gpt-4o" } },
  ],
])("%p", (fields, dial) => {
  expect(readDial(headers(fields as never))).toEqual(dial);
});

test.each([
  ["0.95@gpt-4o;violations=0.05", { share: 0.95, model: "gpt-4o", violations: 0.05 }],
  [
    "1@ollama/llama3:70b; violations = .1 ",
    { share: 1, model: "ollama/llama3:70b", violations: 0.1 },
  ],
  ["0.9@us.anthropic.claude@v1", { share: 0.9, model: "us.anthropic.claude@v1" }],
])("a floor: %s", (text, floor) => {
  expect(parseFloor(text, "x")).toEqual(floor);
});

describe("refused, by name", () => {
  test.each([
    ["x-routeiq-tradeoff", ["", "2", "-1", "much", "NaN"]],
    ["x-routeiq-latency-weight", ["", "-1", "101", "fast"]],
    [
      "x-routeiq-floor",
      [
        "0.9",
        "@m",
        "0.9@",
        "0@m",
        "2@m",
        "0.9@m;violations=0",
        "0.9@m;violations=1",
        "0.9@m;rate=1",
      ],
    ],
  ])("%s", (name, texts) => {
    for (const text of texts) {
      const read = () => readDial(headers({ [name]: text }));
      expect(read).toThrow(GatewayError);
      expect(read).toThrow(name);
    }
  });
});
