/**
 * Every fault of a connection, over real sockets: the caller has an answer from another deployment,
 * or one clear error in the stream; the providers are asked as often as the policy says, and no more.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { answerBytes, type Fault } from "../support/fault-proxy.ts";
import { call, createWorld, type Dialect, type Ended, type World, wholeText } from "./world.ts";

const limitMs = 400;
let world: World;

beforeAll(async () => {
  world = await createWorld({
    router: `disable_cooldowns: true, timeout: ${limitMs / 1000}`,
    routeiq: "max_attempts: 4",
  });
  // The budget is for other tests: here each case may retry.
  const { services } = world.gateway.gateway;
  (services() as { retryBudget: unknown }).retryBudget = {
    countCall: () => undefined,
    take: () => true,
    left: 1,
  };
});
afterAll(() => world.close());
afterEach(() => {
  const { activity, table, pool } = world.gateway.gateway.services();
  expect(activity.count).toBe(0);
  for (const { id } of table.deployments) expect(pool.stats.inFlight(id)).toBe(0);
  expect(world.gateway.log.filter((line) => line.includes("failed inside"))).toEqual([]);
});

interface Outcome extends Ended {
  /** How often each upstream was asked. */
  readonly asked: readonly [first: number, second: number];
}

async function under(fault: Fault, dialect: Dialect, stream: boolean): Promise<Outcome> {
  const before = [world.proxy.requests, world.second.calls] as const;
  world.proxy.set(() => fault);
  const ended = await call(world.gateway, dialect, stream);
  return {
    ...ended,
    asked: [world.proxy.requests - before[0], world.second.calls - before[1]],
  };
}

const html = answerBytes("text/html", "<!doctype html><h1>502 Bad Gateway</h1>");
const jsonError = answerBytes("application/json", '{"error":{"message":"overloaded","code":529}}');
const message = { role: "assistant", content: wholeText };
const wholeReply = answerBytes(
  "application/json",
  JSON.stringify({
    ...{ id: "c", object: "chat.completion", created: 1, model: "m" },
    choices: [{ index: 0, message, finish_reason: "stop" }],
    usage: { prompt_tokens: 2, completion_tokens: 6, total_tokens: 8 },
  }),
);
const sse = (body: string) => answerBytes("text/event-stream", body);
const chunk = (content: string) =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;

/**
 * Where the answer is expected to come from; `error`: from nobody, and the stream says so; `either`:
 * what was good of it may have reached the caller, or not yet.
 */
type Expected = "first" | "second" | "error" | "either";
const faults: readonly (readonly [string, Fault, whole: Expected, streamed: Expected])[] = [
  ["no fault", { kind: "none" }, "first", "first"],
  ["a refused connection", { kind: "refuse" }, "second", "second"],
  ["a black hole", { kind: "blackhole" }, "second", "second"],
  ["a reset before the answer", { kind: "reset", afterBytes: 0 }, "second", "second"],
  ["a reset within the head", { kind: "reset", afterBytes: 40 }, "second", "second"],
  ["an end before the answer", { kind: "end", afterBytes: 0 }, "second", "second"],
  ["an end within the head", { kind: "end", afterBytes: 40 }, "second", "second"],
  ["silence within the head", { kind: "hang", afterBytes: 40 }, "second", "second"],
  ["a reset within the body", { kind: "reset", afterBytes: 700 }, "first", "either"],
  ["an end within the body", { kind: "end", afterBytes: 700 }, "first", "either"],
  ["silence within the body", { kind: "hang", afterBytes: 700 }, "first", "error"],
  ["a byte at a time", { kind: "slices", bytes: 1 }, "first", "first"],
  ["three bytes at a time", { kind: "slices", bytes: 3 }, "first", "first"],
  ["a late answer", { kind: "late", ms: limitMs / 8 }, "first", "first"],
  ["an answer too late", { kind: "late", ms: limitMs * 2 }, "second", "second"],
  ["a body of nothing but 0xff", { kind: "corrupt", at: () => true }, "second", "second"],
  ["a page of HTML with 200", { kind: "say", bytes: html }, "second", "second"],
  ["an error of JSON with 200", { kind: "say", bytes: jsonError }, "second", "second"],
  ["JSON on a stream", { kind: "say", bytes: wholeReply }, "first", "first"],
  ["an empty answer with 200", { kind: "say", bytes: sse("") }, "second", "second"],
  [
    "comments and nothing else",
    { kind: "say", bytes: sse(": hi\n\n: ho\n\n") },
    "second",
    "second",
  ],
  ["[DONE] and nothing else", { kind: "say", bytes: sse("data: [DONE]\n\n") }, "second", "second"],
  ["no JSON in an event", { kind: "say", bytes: sse("data: <html>\n\n") }, "second", "second"],
  [
    "a status that is none",
    { kind: "say", bytes: "HTTP/1.1 999 What\r\n\r\n", thenClose: true },
    "second",
    "second",
  ],
  [
    "no HTTP at all",
    { kind: "say", bytes: "SSH-2.0-OpenSSH_9.9\r\n", thenClose: true },
    "second",
    "second",
  ],
  [
    "a good event, then no JSON",
    { kind: "say", bytes: sse(`${chunk("a")}data: {"cho\n\n`) },
    "second",
    "either",
  ],
  [
    "a good event, then [DONE]",
    { kind: "say", bytes: sse(`${chunk("a")}data: [DONE]\n\n`) },
    "second",
    "either",
  ],
  [
    "a good event, then an error",
    { kind: "say", bytes: sse(`${chunk("a")}data: {"error":{"message":"overloaded"}}\n\n`) },
    "second",
    "either",
  ],
];

const expectations = {
  first: { status: 200, end: "complete", text: wholeText, asked: [1, 0] },
  second: { status: 200, end: "complete", text: wholeText, asked: [1, 1], attempts: 2 },
  error: { status: 200, end: "error", asked: [1, 0], attempts: 1 },
} as const;

describe.each(["chat", "messages"] as const)("%s", (dialect) => {
  test.each(faults)("%s", async (_name, fault, whole, streamed) => {
    expect(await under(fault, dialect, false)).toMatchObject(
      expectations[whole as "first" | "second"],
    );
    const stream = await under(fault, dialect, true);
    const met = streamed === "either" ? (stream.asked[1] === 1 ? "second" : "error") : streamed;
    expect(stream).toMatchObject(expectations[met]);
  });
});

describe("cut anywhere", () => {
  /** Enough for head and body, whole or streamed. */
  const longest = 2_600;
  const kinds = ["reset", "end"] as const;
  test.each(kinds)("%s: an answer, or one error; never half of each", async (kind) => {
    const ends: Record<string, number> = {};
    for (let afterBytes = 0; afterBytes < longest; afterBytes += 23) {
      for (const stream of [false, true]) {
        const { asked, end, text, status } = await under({ kind, afterBytes }, "chat", stream);
        const told = JSON.stringify({ kind, afterBytes, stream, asked, end, status, text });
        expect(end, told).not.toBe("broken");
        expect(status, told).toBe(200);
        if (end === "complete") expect(text, told).toBe(wholeText);
        else expect(wholeText.startsWith(text), told).toBe(true);
        // Either the first answered, or the second did; what began is never asked for again.
        expect(asked[0], told).toBe(1);
        expect(asked[1], told).toBeLessThanOrEqual(1);
        if (end === "error") expect(asked[1], told).toBe(0);
        ends[end] = (ends[end] ?? 0) + 1;
      }
    }
    expect(ends["complete"]).toBeGreaterThan(50);
    expect(ends["error"]).toBeGreaterThan(10);
  });

  test("one byte corrupted, anywhere in a stream: an end or one error, and no failure of ours", async () => {
    for (let offset = 0; offset < 1_800; offset += 17) {
      const fault: Fault = { kind: "corrupt", at: (at) => at === offset };
      const { end, status, asked } = await under(fault, "messages", true);
      const told = JSON.stringify({ offset, end, status, asked });
      expect(status, told).toBe(200);
      expect(end, told).not.toBe("broken");
      expect(asked[0], told).toBe(1);
    }
  });
});

test("a giant event is refused, whatever came before it", async () => {
  const giant = chunk("x".repeat(17 * 1024 * 1024));
  const own = await createWorld({ router: "disable_cooldowns: true" });
  own.proxy.set(() => ({ kind: "say", bytes: sse(chunk("a") + giant) }));
  const { end, status, text } = await call(own.gateway, "chat", true);
  expect({ end, status }).not.toMatchObject({ end: "broken" });
  expect(["a", wholeText]).toContain(text);
  await own.close();
});

test("slices of every size give the same bytes", async () => {
  const texts = new Set<string>();
  for (let bytes = 1; bytes <= 12; bytes++) {
    const { text, end } = await under({ kind: "slices", bytes }, "messages", true);
    expect(end).toBe("complete");
    texts.add(text);
  }
  expect([...texts]).toEqual([wholeText]);
});

test("an upstream that takes no connection at all", async () => {
  world.proxy.setDown(true);
  const before = world.second.calls;
  expect(await call(world.gateway, "chat", false)).toMatchObject({
    status: 200,
    end: "complete",
    attempts: 2,
  });
  expect(await call(world.gateway, "messages", true)).toMatchObject({
    status: 200,
    end: "complete",
    attempts: 2,
  });
  expect(world.second.calls - before).toBe(2);
  world.proxy.setDown(false);
});
