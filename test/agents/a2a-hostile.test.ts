/** Agents elsewhere that lie, flood and stall: contained, counted, and the caller told. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPeers } from "../../src/agents/a2a/peer.ts";
import { createPush, pushLimits } from "../../src/agents/a2a/push.ts";
import { GatewayError } from "../../src/domain/errors.ts";
import { createOutbound, type Outbound } from "../../src/security/outbound.ts";
import { parseAllowRules } from "../../src/security/ssrf.ts";
import type { NewRecord, RecordStore } from "../../src/storage/record-store.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { createVirtualClock } from "../support/virtual-clock.ts";

// biome-ignore lint/suspicious/noExplicitAny: answers of the wire, whose shapes are what is tested
type Body = Record<string, any>;

const at = "2026-01-01T00:00:00.000Z";
const status = (state: string, taskId = "t") => ({
  statusUpdate: { ...{ taskId, contextId: "c" }, status: { state, timestamp: at } },
});
const task = (state: string) => ({
  task: { ...{ id: "t", contextId: "c" }, status: { state, timestamp: at } },
});
const piece = (text: string) => ({
  artifactUpdate: {
    ...{ taskId: "t", contextId: "c", append: true, lastChunk: false },
    artifact: { artifactId: "a", parts: [{ text }] },
  },
});

async function* flood(): AsyncGenerator<object> {
  yield task("TASK_STATE_WORKING");
  for (;;) yield piece("x".repeat(1024 * 1024));
}

/** Its state never moves, and every status says a mebibyte. */
async function* chatter(): AsyncGenerator<object> {
  yield task("TASK_STATE_WORKING");
  const parts = [{ text: "x".repeat(1024 * 1024) }];
  const message = { messageId: "m", role: "ROLE_AGENT", parts };
  const said = status("TASK_STATE_WORKING").statusUpdate;
  for (;;) yield { statusUpdate: { ...said, status: { ...said.status, message } } };
}

type Answer = readonly object[] | (() => AsyncIterable<object>) | Response;

interface Hostile {
  readonly card?: (base: string) => Response;
  /** What its stream tells. */
  readonly tells?: () => Answer;
  /** What the caller reads. */
  readonly why: RegExp;
}

const redirect = () =>
  new Response(null, { status: 302, headers: { location: "http://169.254.169.254/latest" } });
const cardOf = (url: string, more: object = {}) => ({
  ...{ name: "Evil", description: "It says.", version: "1" },
  supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
  ...{ capabilities: { streaming: true }, skills: [], ...more },
});

const hostiles: Readonly<Record<string, Hostile>> = {
  "giant-card": {
    card: (base) => Response.json(cardOf(base, { description: "x".repeat(600 * 1024) })),
    why: /over the limit of 524288 bytes/,
  },
  "card-that-leads-to-metadata": { card: redirect, why: /redirect|no card|not allowed|refused/i },
  "endpoint-at-metadata": {
    card: () => Response.json(cardOf("http://169.254.169.254/latest")),
    why: /169\.254\.169\.254|address/,
  },
  "endpoint-by-another-name": {
    card: () => Response.json(cardOf("http://127.0.0.1:1/elsewhere")),
    why: /address/,
  },
  "card-that-is-none": { card: () => new Response("<html>"), why: /not JSON/ },
  "answer-that-leads-to-metadata": { tells: redirect, why: /redirect|HTTP 302|refused/i },
  "endless-chatter": { tells: () => chatter, why: /more than a task may hold/ },
  "endless-stream": { tells: () => flood, why: /more than a task may hold/ },
  "giant-event": { tells: () => [task("TASK_STATE_WORKING"), piece("x".repeat(9e6))], why: /./ },
  "another-task": {
    tells: () => [task("TASK_STATE_WORKING"), status("TASK_STATE_COMPLETED", "somebody-elses")],
    why: /another task/,
  },
  backwards: {
    tells: () => [task("TASK_STATE_WORKING"), status("TASK_STATE_SUBMITTED")],
    why: /working cannot become submitted/,
  },
  "no-event": { tells: () => [{ hello: "world" }], why: /neither a task nor a message/ },
  silent: { tells: () => [], why: /said nothing/ },
  "not-json": {
    tells: () => new Response("data: {\n\n", { headers: { "content-type": "text/event-stream" } }),
    why: /not JSON/,
  },
};

let it: TestGateway;
let server: Bun.Server<undefined>;

function toStream(answer: readonly object[] | (() => AsyncIterable<object>)): Response {
  const events = typeof answer === "function" ? answer() : answer;
  const encoder = new TextEncoder();
  async function* frames() {
    for await (const result of events) {
      yield encoder.encode(`data: ${JSON.stringify({ jsonrpc: "2.0", id: 1, result })}\n\n`);
    }
  }
  return new Response(frames() as unknown as BodyInit, {
    headers: { "content-type": "text/event-stream" },
  });
}

beforeAll(async () => {
  server = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1" },
    fetch(request) {
      const { pathname } = new URL(request.url);
      const name = pathname.split("/")[1] ?? "";
      const base = `http://127.0.0.1:${server.port}/${name}`;
      const hostile = hostiles[name];
      if (!hostile) return new Response("", { status: 404 });
      if (request.method === "GET") {
        return hostile.card?.(base) ?? Response.json(cardOf(base));
      }
      const answer = hostile.tells?.() ?? [];
      return answer instanceof Response ? answer : toStream(answer);
    },
  });
  const list = Object.keys(hostiles).map((name) => ({
    agent_name: name,
    url: `http://127.0.0.1:${server.port}/${name}`,
  }));
  it = await startTestGateway({
    yaml: `
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]
agent_list: ${JSON.stringify(list)}
`,
    outbound: createOutbound(),
  });
});
afterAll(async () => {
  await it.gateway.close();
  await server.stop(true);
});

describe("an agent elsewhere", () => {
  test.each(Object.entries(hostiles))("%s", async (name, { why }) => {
    const response = await fetch(`${it.gateway.url}/a2a/${name}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        ...{ jsonrpc: "2.0", id: 1, method: "SendStreamingMessage" },
        params: { message: { messageId: "m", role: "ROLE_USER", parts: [{ text: "hi" }] } },
      }),
    });
    const text = await response.text();
    const last = text.trim().split("\n\n").at(-1) ?? "";
    const { error } = JSON.parse(last.replace(/^data: /, "")) as Body;
    expect([response.status, error?.message]).toEqual([200, expect.stringMatching(why)]);
    expect(error.code).toBeLessThan(0);
    const metrics = await (await fetch(`${it.gateway.url}/metrics`)).text();
    const row = `agent="${name}",kind="upstream",outcome="failure"`;
    expect(metrics.split("\n").filter((line) => line.includes(row))).toHaveLength(1);
  });
});

describe("over time", () => {
  const never: Outbound = {
    fetch: ({ signal }) =>
      new Promise((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true }),
      ),
  };

  test("a card that drips ends after ten seconds, and is asked for anew", async () => {
    const clock = createVirtualClock();
    const peers = createPeers(never, clock);
    const target = {
      kind: "upstream" as const,
      ...{ url: "https://slow.example/a", headers: {}, cardKeys: [] },
      trust: "strict" as const,
    };
    for (let i = 0; i < 2; i++) {
      const asked = peers.find(target, {}).catch((thrown: Error) => thrown.message);
      await clock.advance(10_001);
      expect(await asked).toContain("did not come within 10000 ms");
    }
  });

  const cases: readonly (readonly [string, (n: number) => Response | Error, number, string])[] = [
    ["503 is tried four times", () => new Response("", { status: 503 }), 4, "failed"],
    ["429 as well", () => new Response("", { status: 429 }), 4, "failed"],
    ["a refusal once", () => new Response("", { status: 404 }), 1, "failed"],
    [
      "an address that is refused once",
      () => new GatewayError("address_refused", "no"),
      1,
      "failed",
    ],
    [
      "a receiver that comes back is told",
      (n) => new Response("", { status: n < 3 ? 500 : 204 }),
      3,
      "delivered",
    ],
  ];
  test.each(cases)("of a notification: %s", async (_name, behave, tries, outcome) => {
    const clock = createVirtualClock();
    const kept: NewRecord[] = [];
    const records = {
      get: async () => undefined,
      count: async () => kept.length,
      put: async (record: NewRecord) => void kept.push(record),
      list: async () => ({ records: kept, hasMore: false }),
    } as unknown as RecordStore;
    const outcomes: string[] = [];
    const calls: number[] = [];
    const push = createPush({
      ...{ records, clock, random: { next: () => 1 } as never },
      outbound: {
        fetch({ trust }) {
          expect(trust).toBe("strict");
          calls.push(clock.now());
          const answer = behave(calls.length);
          return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
        },
      },
      telemetry: {
        counter: () => ({ add: (_n: number, said: string) => outcomes.push(said) }),
        log: () => undefined,
      } as never,
    });
    const owner = { caller: { id: "a", tenant: "t", admin: false }, version: "1.0" } as const;
    const allow = parseAllowRules([], []);
    const url = "https://hooks.example/x";
    await push.set("t", { url }, { ...owner, allow, expiresMs: clock.now() + 1e9 });
    const done = { state: "TASK_STATE_COMPLETED", timestamp: at } as const;
    const told = { id: "t", contextId: "c", status: done, artifacts: [], history: [] };
    push.tell(told, { task: told });
    await clock.advance(60_000);
    await push.settled();
    expect([calls.length, outcomes]).toEqual([tries, [outcome]]);
    const gaps = calls.slice(1).map((ms, index) => ms - (calls[index] ?? 0));
    expect(gaps).toEqual([1, 4, 16].slice(0, tries - 1).map((s) => s * pushLimits.firstDelayMs));
  });
});
