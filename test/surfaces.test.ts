/**
 * docs/surfaces.md, walked against a running gateway: every surface refuses a request without a key,
 * keeps its limits, leaves its receipt and is counted; none takes new work while the gateway drains.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unreadParts } from "../scripts/unread-parts.ts";
import type { Receipt } from "../src/domain/decision.ts";
import type { CallEvent } from "../src/domain/event.ts";
import { callRoutes } from "../src/http/call-routes.ts";
import { slowRouteTable } from "../src/http/slow-routes.ts";
import { findSurface, type Surface, surfaces } from "../src/http/surfaces.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { createFamilyUpstream, type FamilyUpstream } from "./support/family-upstream.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "./support/mcp-fixture.ts";
import { createRealtimeUpstream, type RealtimeUpstream } from "./support/realtime-upstream.ts";

const master = "sk-master-0123456789";
const bodyLimit = 65_536;

let it: TestGateway;
let upstream: FamilyUpstream;
let voice: RealtimeUpstream;
let tools: HttpFixture;
let folder: string;
/** Receipts in the order in which they were written. */
const receipts: Receipt[] = [];
let onReceipt: ((receipt: Receipt) => void) | undefined;
const nextReceipt = () =>
  new Promise<Receipt>((resolve) => {
    onReceipt = resolve;
  });

beforeAll(async () => {
  upstream = createFamilyUpstream();
  voice = createRealtimeUpstream();
  tools = startMcpFixture();
  folder = mkdtempSync(join(tmpdir(), "routeiq-surfaces-"));
  mkdirSync(join(folder, "adder"));
  writeFileSync(
    join(folder, "adder", "SKILL.md"),
    "---\nname: adder\nruntime: javascript\ninput_schema: {type: object}\n---\n# Adds\n\nAdds.\n",
  );
  writeFileSync(join(folder, "adder", "main.js"), "export default ({a, b}) => a + b;");
  const row = (name: string, mode: string) =>
    `  - {model_name: ${name}, litellm_params: {model: openai/${name}, api_base: "${upstream.url}/v1", api_key: sk-up, input_cost_per_token: 0.001, output_cost_per_token: 0.001}, model_info: {mode: ${mode}}}`;
  const rows = [
    row("m", "chat"),
    row("text", "completion"),
    row("embed", "embedding"),
    row("mod", "moderation"),
    row("image", "image_generation"),
    row("speech", "audio_speech"),
    `  - {model_name: ranker, litellm_params: {model: cohere/rerank-v3.5, api_base: "${upstream.url}", api_key: k}, model_info: {mode: rerank}}`,
    `  - {model_name: voice, litellm_params: {model: openai/gpt-realtime, api_base: "${voice.url}/v1", api_key: k}}`,
  ];
  it = await startTestGateway({
    yaml: `
model_list:
${rows.join("\n")}
general_settings:
  pass_through_endpoints: [{path: /way, target: "${upstream.url}/v1/chat/completions", include_subpath: true}]
router_settings: {num_retries: 0}
agent_list: [{agent_name: writer, model: m}]
mcp_servers: {fixture: {url: "${tools.url}", transport: http}}
routeiq_settings:
  body_limit_bytes: ${bodyLimit}
  files: {max_file_bytes: 50000, max_total_bytes: 10000000}
  skills: {folder: "${folder}"}
`,
    env: { LITELLM_MASTER_KEY: master },
    outbound: createOutbound(),
  });
  const log = it.gateway.services().events as { append: (event: CallEvent) => void };
  const { append } = log;
  log.append = (event) => {
    receipts.push(event.receipt);
    onReceipt?.(event.receipt);
    append(event);
  };
});
afterAll(async () => {
  await it.gateway.close();
  upstream.close();
  voice.close();
  await tools.close();
  rmSync(folder, { recursive: true });
});

interface Asked {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly json?: object;
  readonly form?: () => FormData;
}

interface Walk {
  /** A request that is answered. */
  readonly good: Asked | (() => Promise<Asked>);
  /** One past a limit, and what is said. Default, of JSON: a body over the limit, 413. */
  readonly over?: readonly [Asked, number];
  /** Of the receipt that must be there; undefined: of a surface that leaves none. */
  readonly operation?: string;
}

async function ask({ method, path, json, form }: Asked, key: string | undefined = master) {
  const response = await fetch(it.gateway.url + path, {
    method: method ?? (json || form ? "POST" : "GET"),
    headers: {
      ...(key === "" ? {} : { authorization: `Bearer ${key}` }),
      ...(json ? { "content-type": "application/json" } : {}),
      accept: "application/json, text/event-stream",
    },
    ...(json ? { body: JSON.stringify(json) } : form ? { body: form() } : {}),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const made = async (asked: Asked): Promise<string> => JSON.parse((await ask(asked)).text).id;
const fileForm =
  (name: string, content: string, fields: Readonly<Record<string, string>>) => () => {
    const form = new FormData();
    for (const [field, value] of Object.entries(fields)) form.set(field, value);
    form.set(name, new File([content], "a.txt"));
    return form;
  };
const upload = (content: string, purpose = "assistants"): Asked => ({
  path: "/v1/files",
  form: fileForm("file", content, { purpose }),
});
const messages = [{ role: "user", content: "Hello" }];
const skillForm = (text: string) => () => {
  const form = new FormData();
  form.set("display_title", "Hi");
  form.append(
    "files[]",
    new File([`---\nname: hi\ndescription: says hi\n---\n${text}`], "hi/SKILL.md"),
  );
  return form;
};
const rpc = (method: string, params: object) => ({ jsonrpc: "2.0", id: 1, method, params });
let names = 0;
const newName = () => `name${++names}`;
/** JSON-RPC says no inside of a 200. */
const isRpcRefusal = (text: string) => /"error":\{"code":-\d+/.test(text);
const batchLine = JSON.stringify({
  custom_id: "a",
  method: "POST",
  url: "/v1/chat/completions",
  body: { model: "m", messages },
});

const walks: Readonly<Record<string, Walk>> = {
  chat: {
    good: { path: "/v1/chat/completions", json: { model: "m", messages } },
    operation: "chat",
  },
  completions: {
    good: { path: "/v1/completions", json: { model: "text", prompt: "a" } },
    operation: "completion",
  },
  embeddings: {
    good: { path: "/v1/embeddings", json: { model: "embed", input: "a" } },
    operation: "embedding",
  },
  responses: {
    good: { path: "/v1/responses", json: { model: "m", input: "a" } },
    operation: "responses",
  },
  messages: {
    good: { path: "/v1/messages", json: { model: "m", max_tokens: 9, messages } },
    operation: "chat",
  },
  gemini: {
    good: {
      path: "/v1beta/models/m:generateContent",
      json: { contents: [{ role: "user", parts: [{ text: "a" }] }] },
    },
    operation: "chat",
  },
  images: {
    good: { path: "/v1/images/generations", json: { model: "image", prompt: "a" } },
    operation: "image_generation",
  },
  audio: {
    good: { path: "/v1/audio/speech", json: { model: "speech", input: "a", voice: "alloy" } },
    operation: "audio_speech",
  },
  moderations: {
    good: { path: "/v1/moderations", json: { model: "mod", input: "a" } },
    operation: "moderation",
  },
  rerank: {
    good: { path: "/v1/rerank", json: { model: "ranker", query: "a", documents: ["a", "b"] } },
    operation: "rerank",
  },
  "pass-through": {
    good: { path: "/way", json: { model: "m", messages } },
    operation: "pass_through",
  },
  files: { good: upload("a"), over: [upload("x".repeat(50_001)), 413], operation: "file" },
  uploads: {
    good: {
      path: "/v1/uploads",
      json: { filename: "a", purpose: "user_data", bytes: 5, mime_type: "text/plain" },
    },
    operation: "upload",
  },
  "fine-tuning": {
    async good() {
      const training_file = await made(upload("{}", "fine-tune"));
      return { path: "/v1/fine_tuning/jobs", json: { model: "m", training_file } };
    },
    operation: "fine_tuning",
  },
  batches: {
    async good() {
      const input_file_id = await made(upload(batchLine, "batch"));
      const window = { endpoint: "/v1/chat/completions", completion_window: "24h" };
      return { path: "/v1/batches", json: { input_file_id, ...window } };
    },
    operation: "batch",
  },
  "assistants and threads": {
    async good() {
      const assistant_id = await made({ path: "/v1/assistants", json: { model: "m" } });
      return { path: "/v1/threads/runs", json: { assistant_id, thread: { messages } } };
    },
    operation: "assistant",
  },
  "vector search": {
    async good() {
      const id = await made({ path: "/v1/vector_stores", json: { name: "s" } });
      return { path: `/v1/vector_stores/${id}/search`, json: { query: "a" } };
    },
    operation: "vector_search",
  },
  "vector stores": {
    good: { path: "/v1/vector_stores", json: { name: "s" } },
    operation: "vector_store",
  },
  "MCP servers": {
    async good() {
      const at = { url: "https://mcp.example.com/mcp", transport: "http" };
      return { path: "/v1/mcp/server", json: { server_name: newName(), ...at } };
    },
    operation: "mcp_registry",
  },
  MCP: {
    good: {
      path: "/mcp",
      json: rpc("tools/call", { name: "fixture.test_simple_text", arguments: {} }),
    },
    operation: "mcp_tool",
  },
  "A2A agents": {
    good: async () => ({ path: "/v1/agents", json: { agent_name: newName(), model: "m" } }),
    operation: "a2a_registry",
  },
  A2A: {
    good: {
      path: "/a2a/writer",
      json: rpc("SendMessage", {
        message: { messageId: "1", role: "ROLE_USER", parts: [{ text: "a" }] },
      }),
    },
    operation: "chat", // a published model's; messages to agents elsewhere: test/a2a.test.ts
  },
  "skill runs": {
    good: { path: "/v1/skills/adder/run", json: { input: { a: 1, b: 2 } } },
    over: [{ path: "/v1/skills/adder/run", json: { input: { a: "x".repeat(1_100_000) } } }, 413],
    operation: "skill_run",
  },
  skills: {
    good: { path: "/v1/skills", form: skillForm("# Hi") },
    over: [{ path: "/v1/skills", form: skillForm("x".repeat(40_000_000)) }, 413],
    operation: "skill",
  },
  "receipts and feedback": {
    async good() {
      const { headers } = await ask({
        path: "/v1/completions",
        json: { model: "text", prompt: "a" },
      });
      return {
        path: "/v1/feedback",
        json: { call_id: headers.get("x-routeiq-call-id"), score: 1 },
      };
    },
  },
  models: { good: { path: "/v1/models" } },
  administration: {
    good: { path: "/config/reload", json: {} },
    over: [{ path: "/config/reload", json: { a: "x".repeat(bodyLimit) } }, 413],
  },
  "A2A cards": { good: { path: "/.well-known/agent-card.json" } },
  "public skills and MCP servers": { good: { path: "/.well-known/skills/index.json" } },
  "probes and documents": { good: { path: "/_health/live" } },
};

const isOpen = ({ auth }: Surface) => auth.startsWith("none");
const goodOf = async ({ good }: Walk) => (typeof good === "function" ? good() : good);
const walked = surfaces.filter(({ name }) => name !== "realtime"); // below: by WebSocket

/** The value of a counter's series, all that bear these labels together. */
async function counted(name: string, labels: Readonly<Record<string, string>>): Promise<number> {
  const { text } = await ask({ path: "/metrics" });
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`));
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const fits = lines.filter((line) => wanted.every((each) => line.includes(each)));
  return fits.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** How a surface is counted: calls by operation, everything else by its name. */
const countOf = ({ name, telemetry }: Surface, { operation }: Walk) =>
  telemetry.includes("gateway_")
    ? counted("gateway_request_total", { operation: operation ?? "" })
    : counted("routeiq_http_requests_total", { surface: name });

describe("the table is whole", () => {
  const slow = slowRouteTable(unreadParts()).map(({ path }) => path);
  const hot = callRoutes(unreadParts().responses).flatMap(({ paths }) => paths);
  test.each([...new Set([...hot, ...slow])])("%s belongs to a surface", (path) => {
    const bare = path.startsWith("/v2/") ? path.slice(3) : path;
    expect(findSurface(path) ?? findSurface(bare)).toBeDefined();
  });

  test("every surface is walked", () => {
    expect(Object.keys(walks).sort()).toEqual(walked.map(({ name }) => name).sort());
  });
});

describe.each(walked.map((surface) => [surface.name, surface] as const))("%s", (name, surface) => {
  const walk = walks[name] ?? { good: { path: "/not-walked" } };

  test(isOpen(surface) ? "is open" : "is refused without a key, and with a wrong one", async () => {
    const asked = await goodOf(walk);
    const expected = isOpen(surface) ? [200, 200] : [401, 401];
    const statuses = [await ask(asked, ""), await ask(asked, "sk-wrong")].map(
      ({ status }) => status,
    );
    expect(statuses).toEqual(expected);
  });

  test("answers, and is counted", async () => {
    const before = await countOf(surface, walk);
    const answer = await ask(await goodOf(walk));
    const isFine = answer.status < 300 && !isRpcRefusal(answer.text);
    expect(isFine ? "fine" : answer.text).toBe("fine");
    await it.gateway.events.flush();
    expect(await countOf(surface, walk)).toBeGreaterThan(before);
  });

  test.skipIf(walk.operation === undefined)("leaves its receipt", async () => {
    receipts.length = 0;
    const { headers } = await ask(await goodOf(walk));
    const callId = headers.get("x-routeiq-call-id") ?? "";
    const ofWork = receipts.filter(({ operation }) => operation === walk.operation);
    const written = ofWork.find((each) => each.callId === callId) ?? ofWork[0];
    expect(written).toMatchObject({ outcome: "success", caller: expect.any(String) });
    const shown = await ask({ path: `/v1/routing/decisions/${written?.callId}` });
    expect(JSON.parse(shown.text)).toMatchObject({ callId: written?.callId });
    // Where the request itself is the work, its answer names the receipt.
    if (surface.operation || surface.telemetry.includes("gateway_")) {
      expect(written?.callId).toBe(callId);
    }
    if (surface.money.startsWith("by tokens")) {
      expect(written?.costMicroUsd ?? written?.usage).toBeDefined();
    }
  });

  test.skipIf(surface.limits === "–")("keeps a limit", async () => {
    const good = await goodOf(walk);
    const [asked, status] = walk.over ?? [
      { ...good, json: { ...good.json, padding: "x".repeat(bodyLimit) } },
      413,
    ];
    const answer = await ask(asked);
    expect(isRpcRefusal(answer.text) ? status : answer.status).toBe(status);
  });
});

describe("realtime", () => {
  const connect = (key: string) =>
    new WebSocket(`${it.gateway.url.replace("http", "ws")}/v1/realtime?model=voice`, {
      headers: { authorization: `Bearer ${key}` },
    } as never);

  test("is refused without a key", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect("sk-wrong");
    socket.onopen = () => resolve("open");
    socket.onclose = () => resolve("refused");
    expect(await promise).toBe("refused");
  });

  test("leaves its receipt and is counted", async () => {
    receipts.length = 0;
    const socket = connect(master);
    socket.onmessage = () => socket.close();
    const { operation } = await nextReceipt();
    expect(operation).toBe("realtime");
    expect(await counted("gateway_request_total", { operation: "realtime" })).toBeGreaterThan(0);
  });
});

describe("while the gateway drains", () => {
  const drained = walked.filter(({ limits }) => limits.includes("drain"));
  let asked: readonly (readonly [string, Asked])[] = [];
  beforeAll(async () => {
    asked = await Promise.all(
      drained.map(async ({ name }) => [name, await goodOf(walks[name] as Walk)] as const),
    );
    await it.gateway.drain();
  });
  test("no surface begins anything new", async () => {
    for (const [name, each] of asked) {
      const { status, text } = await ask(each);
      expect([name, isRpcRefusal(text) ? 503 : status]).toEqual([name, 503]);
    }
  });
});
