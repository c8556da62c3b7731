/** `routeiq label` against a gateway that is played here: what is asked, stored, paid, and never twice. */
import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commands, defaultCommand } from "../../src/cli/registry.ts";
import { runCommandLine } from "../../src/cli/run.ts";
import type { CallEvent } from "../../src/domain/event.ts";
import { readRows } from "../../src/learning/dataset.ts";
import { exportOnce } from "../../src/learning/events/event-export.ts";
import { toEventLabel } from "../../src/learning/events/event-label.ts";
import { readSource } from "../../src/learning/events/event-source.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { systemClock } from "../../src/std/clock.ts";
import { openEventStore } from "../../src/storage/sqlite/event-store.ts";
import { readEvents } from "../../src/storage/sqlite/read-events.ts";
import { learnedEvent } from "../support/events.ts";

setDefaultTimeout(60_000);
const folder = mkdtempSync(join(tmpdir(), "routeiq-label-"));
const asked: { model: string; prompt: string; requestId: string | null }[] = [];
/** What the judge answers instead of grades, while set. */
let judgeSays: ((prompt: string) => string) | undefined;

const server = Bun.serve({
  port: 0,
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === "/model/info") {
      const row = (name: string, usd: number) => ({
        model_name: name,
        litellm_params: { model: name },
        model_info: { input_cost_per_token: usd, output_cost_per_token: usd },
      });
      return Response.json({
        data: [row("judge", 1e-6), row("openai/large", 2e-6), row("openai/small", 1e-7)],
      });
    }
    const body = (await request.json()) as { model: string; messages: { content: string }[] };
    const prompt = body.messages.at(-1)?.content ?? "";
    asked.push({ model: body.model, prompt, requestId: request.headers.get("x-request-id") });
    const text =
      body.model === "judge" ? (judgeSays ?? grade)(prompt) : `an answer by ${body.model}`;
    return Response.json(
      {
        choices: [{ message: { role: "assistant", content: text } }],
        usage: { prompt_tokens: 50, completion_tokens: 20 },
      },
      { headers: { "x-routeiq-cost-usd": "0.0005" } },
    );
  },
});
afterAll(() => {
  server.stop(true);
  rmSync(folder, { recursive: true });
});

/** The large model's answers are better; the one shown first gets a point too many. */
function grade(prompt: string): string {
  const answers = prompt.split("<<ANSWER-").slice(1);
  const grades = answers.map((text, at) => (text.includes("openai/large") ? 8 : 4) + (at ? 0 : 1));
  return JSON.stringify({ grades });
}

let data = "";
let runs = 0;
beforeEach(() => {
  asked.length = 0;
  judgeSays = undefined;
  data = join(folder, `run-${runs++}`);
});

/** A log of calls whose prompts were kept; every third has a thumb of its user. */
function writeLog(count: number, change: (event: CallEvent, n: number) => CallEvent = (e) => e) {
  mkdirSync(data, { recursive: true });
  const store = openEventStore(join(data, "events.db"));
  store.insert(
    Array.from({ length: count }, (_, n) => {
      const event = learnedEvent(n + 1);
      const decision = event.receipt.decision;
      const candidates = (decision?.candidates ?? []).filter(({ model }) =>
        ["openai/large", "openai/small"].includes(model),
      );
      const prompt = `question number ${n}`;
      const receipt = {
        ...event.receipt,
        ...(decision ? { decision: { ...decision, candidates } } : {}),
      };
      return change({ ...event, receipt, prompt, queryHash: `hash-${n}` }, n);
    }),
  );
  for (let n = 0; n < count; n += 3) {
    const { callId } = learnedEvent(n + 1).receipt;
    store.addFeedback({ callId, score: n % 2, source: "user", atMs: 1 });
  }
  store.close();
}

async function run(...words: string[]) {
  const said = { stdout: "", stderr: "" };
  const sink = (name: keyof typeof said) => ({
    write(text: string) {
      said[name] += text;
    },
  });
  const code = await runCommandLine({
    words: ["label", ...words, "--url", server.url.href, "--json"],
    commands,
    defaultCommand,
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    env: {},
    signal: new AbortController().signal,
  });
  return { code, ...said, json: JSON.parse(said.stdout || "null") };
}

const judged = async () => {
  const found = [];
  for await (const { receipt } of readEvents(data)) {
    for (const one of receipt.feedback) if (one.source.startsWith("judge:")) found.push(one);
  }
  return found;
};

describe("logged calls", () => {
  test("are graded beside their rival, in both orders, and never twice", async () => {
    writeLog(12);
    const first = await run("--events", data, "--judge", "judge", "--budget", "1");
    expect(first.json).toMatchObject({ labelled: 12, judge: "judge:judge@grade-1" });
    const labels = await judged();
    expect(labels.length).toBe(12);
    // (8 + 1 first) and 8: the mean of the orders takes the bias out of the difference.
    expect(labels[0]).toMatchObject({ score: 0.85, source: "judge:judge@grade-1" });
    expect(JSON.parse(labels[0]?.comment ?? "")).toEqual({
      models: ["openai/large", "openai/small"],
      orders: [
        [0.9, 0.8],
        [0.4, 0.5],
      ],
    });
    const { between_orders, with_people } = first.json.agreement;
    expect(between_orders).toMatchObject({ cases: 12, agreed: 1 });
    expect(with_people.cases).toBe(4);
    expect(asked.every(({ requestId }) => requestId?.startsWith("routeiq-label/"))).toBe(true);

    asked.length = 0;
    const second = await run("--events", data, "--judge", "judge", "--budget", "1");
    expect(second.json).toMatchObject({ labelled: 0 });
    expect([asked.length, (await judged()).length]).toEqual([0, 12]);
  });

  test("that are segments of a folder or bucket get their labels beside them, once", async () => {
    writeLog(12);
    const segments = join(data, "segments");
    const access = { outbound: createOutbound(), clock: systemClock, s3: {} };
    await exportOnce({ source: data, to: segments, format: "parquet" }, access);
    const first = await run("--events", segments, "--judge", "judge", "--budget", "1");
    expect(first.json).toMatchObject({ labelled: 12, labels: 12 });
    const stored = [];
    const reading = { store: access, onProblem: () => expect.unreachable() };
    for await (const { receipt } of readSource(segments, reading)) {
      stored.push(...receipt.feedback.filter(({ source }) => source === "judge:judge@grade-1"));
    }
    expect(stored.map(({ score }) => score)).toEqual(Array(12).fill(0.85));
    asked.length = 0;
    const second = await run("--events", segments, "--judge", "judge", "--budget", "1");
    expect([second.json.labelled, asked.length]).toEqual([0, 0]);
  });

  test("--plan says what and for how much, and asks nobody", async () => {
    writeLog(30);
    const { json } = await run("--events", data, "--judge", "judge", "--budget", "0.05", "--plan");
    expect(asked).toEqual([]);
    expect(json.plan.length).toBeGreaterThan(0);
    expect(json.plan.length).toBeLessThan(30);
    expect(json.cost_usd).toBeLessThanOrEqual(0.05);
    expect(json.plan[0].models).toEqual(["openai/large", "openai/small"]);
  });

  test("side by side spend a small budget on whole labels", async () => {
    writeLog(20);
    const many = ["--budget", "0.012", "--concurrency", "20"];
    const { json } = await run("--events", data, "--judge", "judge", ...many);
    expect(json.report.stopped).toBe("no money");
    expect(json.labelled).toBeGreaterThan(3); // a label costs 0.002; each call of it 0.0005
    expect(json.spent_usd).toBeLessThan(0.002 * (json.labelled + 1)); // at most the last is cut off
  });

  test("stop before the budget is passed, and go on with the next one", async () => {
    writeLog(20);
    const budget = ["--budget", "0.012"];
    const { json } = await run("--events", data, "--judge", "judge", ...budget);
    expect(json.report.stopped).toBe("no money");
    expect(json.spent_usd).toBeLessThanOrEqual(0.012);
    expect(json.labelled).toBeGreaterThan(0);
    const before = (await judged()).length;
    const again = await run("--events", data, "--judge", "judge", "--budget", "1");
    expect(again.json.labelled).toBe(20 - before);
    expect((await judged()).length).toBe(20);
  });

  test("a judge that does not keep to the form is asked once more, then its failure is told", async () => {
    writeLog(3);
    judgeSays = () => "I think the first is better: 9 of 10.";
    const words = ["--judge", "judge", "--budget", "1", "--concurrency", "1"];
    const { code, json, stderr } = await run("--events", data, ...words);
    expect(code).toBe(1);
    expect(json.report).toMatchObject({ done: 0, failed: 3 });
    expect(stderr).toContain("does not answer with");
    expect(asked.filter(({ model }) => model === "judge").length).toBe(6);
    expect(await judged()).toEqual([]);
  });

  test("without their text it is said how to come by it", async () => {
    writeLog(3, ({ prompt: _, ...event }) => event);
    const { code, stderr } = await run("--events", data, "--judge", "judge", "--budget", "1");
    expect(code).toBe(1);
    expect(stderr).toContain("store_prompts");
  });

  test("calls of learning itself are neither labelled nor learnt from", async () => {
    writeLog(4, (event) => ({
      ...event,
      receipt: { ...event.receipt, requestId: "routeiq-label/x", outcome: "failure" },
    }));
    const { json } = await run("--events", data, "--judge", "judge", "--budget", "1");
    expect(json.labelled).toBe(0);
    const own = { ...learnedEvent(1).receipt, outcome: "failure" } as const;
    expect(toEventLabel(own)).toMatchObject({ score: 0 });
    expect(toEventLabel({ ...own, requestId: "routeiq-label/x" })).toBeUndefined();
  });

  test("a judge whose price nobody knows needs one", async () => {
    writeLog(2);
    const { code, stderr } = await run(
      "--events",
      data,
      "--judge",
      "nobody-knows",
      "--budget",
      "1",
    );
    expect(code).toBe(2);
    expect(stderr).toContain("--judge-price");
  });
});

describe("a shadow set", () => {
  test("is graded rows that train reads, and goes on where it was broken off", async () => {
    writeLog(10);
    const out = join(data, "shadow.jsonl");
    const words = [
      ...["--shadow", "--events", data, "--out", out],
      ...["--models", "openai/large,openai/small", "--judge", "judge", "--budget", "1"],
    ];
    const first = await run(...words, "--limit", "4");
    expect(first.json.rows).toBe(4);
    await Bun.write(out, `${await Bun.file(out).text()}{"id":"broken`); // killed while writing
    const second = await run(...words);
    expect(second.json.rows).toBe(10);
    const rows = [];
    for await (const row of readRows(out)) rows.push(row);
    expect(rows.length).toBe(10);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(10);
    const outcome = rows[0]?.outcomes.get("openai/large");
    expect(outcome).toMatchObject({ score: 0.85, outputTokens: 20, costUsd: 0.0005 });
    expect(rows[0]?.outcomes.get("openai/small")?.score).toBe(0.45);
  });

  test("of queries in a file", async () => {
    mkdirSync(data, { recursive: true });
    const file = join(data, "queries.jsonl");
    await Bun.write(
      file,
      [1, 2, 3].map((id) => `{"id":"q${id}","query":"what is ${id}?"}\n`).join(""),
    );
    const out = join(data, "rows.jsonl");
    const models = ["--models", "openai/large,openai/small"];
    const words = ["--shadow", "--data", file, "--out", out, ...models, "--judge", "judge"];
    const { json } = await run(...words, "--budget", "1");
    expect(json).toMatchObject({ rows: 3, report: { done: 3, failed: 0 } });
  });
});
