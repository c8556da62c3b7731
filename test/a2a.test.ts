/**
 * A2A through a running gateway: models as agents, and an agent of the reference SDK behind it, met
 * by that SDK's own client and by requests as they stand in the specification.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { TaskState } from "@a2a-js/sdk";
import { ClientFactory, JsonRpcTransportFactory, RestTransportFactory } from "@a2a-js/sdk/client";
import { createTasks } from "../src/agents/a2a/tasks.ts";
import type { JsonObject } from "../src/domain/json.ts";
import { createOutbound, type Outbound } from "../src/security/outbound.ts";
import { systemClock } from "../src/std/clock.ts";
import { type A2aUpstream, startA2aUpstream } from "./support/a2a-upstream.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const master = "sk-master-0123456789";
const adminHeaders = { authorization: `Bearer ${master}`, "content-type": "application/json" };
const toYaml = (upstream: A2aUpstream) => `
model_list:
  - model_name: llama
    litellm_params: {model: groq/llama-3, api_key: gsk}
  - model_name: priced
    litellm_params: {model: groq/dear-1, api_key: gsk, input_cost_per_token: 0.001, output_cost_per_token: 0.002}
router_settings: {num_retries: 0}
agent_list:
  - agent_name: writer
    description: Writes short answers.
    model: llama
    instructions: Be brief.
    litellm_params: {temperature: 0.25}
  - {agent_name: dear, model: priced}
  - agent_name: remote
    description: Stands elsewhere.
    url: ${upstream.newer}
    headers: {x-team: blue}
    litellm_params: {api_key: upstream-key}
  - agent_name: older
    url: ${upstream.older}
`;

let it: TestGateway;
let upstream: A2aUpstream;
let asked: JsonObject[] = [];
let notified: { url: string; body: JsonObject; headers: Readonly<Record<string, string>> }[] = [];
let behave: (signal: AbortSignal | undefined) => Response | Promise<Response> = () =>
  says("Hel", "lo");
let receive: () => Response = () => new Response("", { status: 200 });

function says(...words: readonly string[]): Response {
  const events = words.map((content) => ({
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
  }));
  const end = { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
  const usage = {
    choices: [],
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
  };
  const chunk = { id: "c", object: "chat.completion.chunk", created: 1, model: "llama-3" };
  const text = [...events, end, usage].map(
    (event) => `data: ${JSON.stringify({ ...chunk, ...event })}\n\n`,
  );
  return new Response(`${text.join("")}data: [DONE]\n\n`, {
    headers: { "content-type": "text/event-stream" },
  });
}

beforeAll(async () => {
  upstream = await startA2aUpstream();
  const real = createOutbound();
  const outbound: Outbound = {
    fetch(request) {
      const { url, body, headers, signal } = request;
      if (url.startsWith(upstream.origin)) return real.fetch(request);
      if (url.startsWith("https://hooks.example")) {
        notified.push({ url, body: JSON.parse(String(body)), headers });
        return Promise.resolve(receive());
      }
      asked.push(JSON.parse(String(body)));
      return Promise.resolve(behave(signal));
    },
  };
  it = await startTestGateway({
    yaml: toYaml(upstream),
    outbound,
    env: { LITELLM_MASTER_KEY: master },
  });
});
afterAll(async () => {
  await it.gateway.close();
  await upstream.close();
});

// biome-ignore lint/suspicious/noExplicitAny: answers of the wire, whose shapes are what is tested
type Body = Record<string, any>;

async function post(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Body> {
  const response = await fetch(it.gateway.url + path, {
    method: "POST",
    headers: { ...adminHeaders, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as object) };
}
const rpc = (
  agent: string,
  method: string,
  params: unknown,
  headers: Record<string, string> = {},
) => post(`/a2a/${agent}`, { jsonrpc: "2.0", id: 1, method, params }, headers);
const get = async (path: string, headers: Record<string, string> = adminHeaders): Promise<Body> =>
  (await fetch(it.gateway.url + path, { headers })).json() as Promise<Body>;

let made = 0;
const says10 = (text: string, more: object = {}) => ({
  message: { messageId: `m-${++made}`, role: "ROLE_USER", parts: [{ text }], ...more },
});
const says03 = (text: string, more: object = {}) => ({
  message: {
    kind: "message",
    messageId: `m-${++made}`,
    role: "user",
    parts: [{ kind: "text", text }],
    ...more,
  },
});
const contentsOf = (body: Body = {}) => body["messages"].map(({ content }: Body) => content);
const textOf = (task: Body): string =>
  task["artifacts"]
    .flatMap((each: Body) => each["parts"].map((part: Body) => part["text"]))
    .join("");

function clientOf(agent: string, transport: "JSONRPC" | "HTTP+JSON") {
  const fetchImpl = ((url: string, init?: RequestInit) => {
    const headers = new Headers(init?.headers);
    headers.set("authorization", `Bearer ${master}`);
    return fetch(url, { ...init, headers });
  }) as typeof fetch;
  const factory = new ClientFactory({
    transports: [
      new JsonRpcTransportFactory({ fetchImpl }),
      new RestTransportFactory({ fetchImpl }),
    ],
    preferredTransports: [transport],
  });
  return factory.createFromUrl(`${it.gateway.url}/a2a/${agent}/`);
}
const sdkMessage = (text: string) => ({
  tenant: "",
  message: {
    messageId: `m-${++made}`,
    contextId: "",
    taskId: "",
    role: 1,
    parts: [
      {
        content: { $case: "text" as const, value: text },
        metadata: undefined,
        filename: "",
        mediaType: "",
      },
    ],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  },
  configuration: undefined,
  metadata: undefined,
});

describe("cards", () => {
  test("an agent's card names the gateway alone, in the revision that is asked for", async () => {
    const newer = await get("/a2a/writer/.well-known/agent-card.json", { "a2a-version": "1.0" });
    const url = `${it.gateway.url}/a2a/writer`;
    expect(newer["supportedInterfaces"]).toEqual([
      { url, protocolBinding: "JSONRPC", protocolVersion: "1.0" },
      { url, protocolBinding: "HTTP+JSON", protocolVersion: "1.0" },
      { url, protocolBinding: "JSONRPC", protocolVersion: "0.3" },
      { url, protocolBinding: "HTTP+JSON", protocolVersion: "0.3" },
    ]);
    expect(newer["url"]).toBeUndefined();
    const older = await get("/a2a/writer/.well-known/agent.json", {});
    expect(older).toMatchObject({ url, protocolVersion: "0.3.0", preferredTransport: "JSONRPC" });
    expect(older["supportedInterfaces"]).toBeUndefined();
    const both = await get("/a2a/writer/.well-known/agent-card.json", {});
    expect(both).toMatchObject({ url, supportedInterfaces: newer["supportedInterfaces"] });
  });

  test("an agent elsewhere keeps its skills, and none of its addresses", async () => {
    const card = await get("/a2a/remote/.well-known/agent-card.json", {});
    expect(card["skills"]).toMatchObject([{ id: "echo" }]);
    expect(JSON.stringify(card)).not.toContain(upstream.origin);
    expect(JSON.stringify(card)).not.toContain("upstream-key");
  });

  test("the gateway's own lists its agents", async () => {
    const card = await get("/.well-known/agent.json", {});
    expect(card).toMatchObject({ name: "RouteIQ A2A Gateway", url: `${it.gateway.url}/a2a` });
    expect(card["skills"].map(({ id }: Body) => id)).toEqual(["writer", "dear", "remote", "older"]);
    expect(await get("/.well-known/agents/writer.json", {})).toMatchObject({ name: "writer" });
    expect(await get("/.well-known/agents/nobody.json", {})).toMatchObject({
      detail: { error: "agent_not_found" },
    });
  });
});

describe("a model as an agent", () => {
  test("answers a message with a task, by a chat call", async () => {
    asked = [];
    const { result } = await rpc("writer", "SendMessage", says10("Hi"), { "a2a-version": "1.0" });
    expect(result.task).toMatchObject({ status: { state: "TASK_STATE_COMPLETED" } });
    expect(textOf(result.task)).toBe("Hello");
    expect(result.task.history).toHaveLength(1);
    expect(asked).toMatchObject([
      {
        temperature: 0.25,
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hi" },
        ],
      },
    ]);
    const { result: again } = await rpc("writer", "GetTask", { id: result.task.id });
    expect(again).toEqual(result.task);
  });

  test("says what its answer took, which is counted as that call's cost", async () => {
    const { result } = await rpc("dear", "SendMessage", says10("Hi"));
    expect(result.task.artifacts[0].metadata).toEqual({
      ...{ model: "priced", finishReason: "stop" },
      usage: { inputTokens: 7, outputTokens: 3, costUsd: 0.013 },
    });
    // Counted as that call's own, as a caller's would be.
    const metrics = await (await fetch(`${it.gateway.url}/metrics`)).text();
    expect(metrics).toMatch(/^gateway_cost_usd_total\{[^}]*dear-1[^}]*\} 0\.013$/m);
  });

  test("a conversation goes on by its context", async () => {
    const { result } = await rpc("writer", "message/send", says03("One"));
    expect(result).toMatchObject({ kind: "task", status: { state: "completed" } });
    asked = [];
    await rpc("writer", "message/send", says03("Two", { contextId: result.contextId }));
    expect(contentsOf(asked[0]).slice(1)).toEqual(["One", "Hello", "Two"]);
  });

  test.each(["SendStreamingMessage", "message/stream"])("streams by %s", async (method) => {
    const older = method.includes("/");
    const response = await fetch(`${it.gateway.url}/a2a/writer`, {
      method: "POST",
      headers: adminHeaders,
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: "s",
        method,
        params: older ? says03("Hi") : says10("Hi"),
      }),
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const events = (await response.text())
      .split("\n\n")
      .filter((line) => line.startsWith("data: "));
    const results = events
      .map((line) => JSON.parse(line.slice(6)))
      .map(({ id, result }) => ({ ...result, answers: id }));
    expect(results.every(({ answers }) => answers === "s")).toBe(true);
    const kinds = results.map((result) => (older ? result.kind : Object.keys(result)[0]));
    expect(kinds).toEqual(
      older
        ? [
            "task",
            "status-update",
            "artifact-update",
            "artifact-update",
            "artifact-update",
            "status-update",
          ]
        : [
            "task",
            "statusUpdate",
            "artifactUpdate",
            "artifactUpdate",
            "artifactUpdate",
            "statusUpdate",
          ],
    );
    if (older) expect(results.map(({ final }) => final).filter(Boolean)).toEqual([true]);
  });

  test("a task can be cancelled while it is at work, and then no more", async () => {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    behave = (signal) => {
      called.resolve();
      signal?.addEventListener("abort", () => resolve());
      return new Response(new ReadableStream({ cancel: () => resolve() }), {
        headers: { "content-type": "text/event-stream" },
      });
    };
    const params = { ...says10("Hi"), configuration: { returnImmediately: true } };
    const { result } = await rpc("writer", "SendMessage", params);
    expect(["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"]).toContain(result.task.status.state);
    await called.promise;
    const { result: ended } = await rpc("writer", "CancelTask", { id: result.task.id });
    expect(ended.status.state).toBe("TASK_STATE_CANCELED");
    await left;
    behave = () => says("Hel", "lo");
    expect(await rpc("writer", "CancelTask", { id: result.task.id })).toMatchObject({
      error: { code: -32002 },
    });
    expect(await rpc("writer", "SubscribeToTask", { id: result.task.id })).toMatchObject({
      error: { code: -32004 },
    });
  });

  test("a model that fails fails the task, in plain words", async () => {
    behave = () => Response.json({ error: { message: "no", type: "x" } }, { status: 400 });
    const { result } = await rpc("writer", "SendMessage", says10("Hi"));
    behave = () => says("Hel", "lo");
    expect(result.task.status.state).toBe("TASK_STATE_FAILED");
    expect(result.task.status.message.parts[0].text).toBeString();
  });

  test("tasks are listed, filtered and paged", async () => {
    const context = crypto.randomUUID();
    for (const text of ["a", "b", "c"])
      await rpc("writer", "SendMessage", says10(text, { contextId: context }));
    const { result } = await rpc("writer", "ListTasks", { contextId: context, pageSize: 2 });
    expect(result).toMatchObject({ totalSize: 3, pageSize: 2 });
    expect(result.tasks).toHaveLength(2);
    expect(result.tasks[0]).not.toHaveProperty("artifacts");
    const next = await rpc("writer", "ListTasks", {
      contextId: context,
      pageSize: 2,
      pageToken: result.nextPageToken,
    });
    expect(next["result"].tasks).toHaveLength(1);
    expect(next["result"].nextPageToken).toBe("");
    const none = await rpc("writer", "ListTasks", {
      contextId: context,
      status: "TASK_STATE_WORKING",
    });
    expect(none["result"].tasks).toEqual([]);
  });
});

test("0.3's HTTP+JSON is read by its protobuf's own names as well, as the Python SDK writes them", async () => {
  const request = { message_id: "m", role: "ROLE_USER", content: [{ text: "Hi" }] };
  const body = { request, configuration: { blocking: true } };
  const { task } = await post("/a2a/writer/v1/message:send", body, { "a2a-version": "0.3" });
  expect(task).toMatchObject({
    ...{ status: { state: "TASK_STATE_COMPLETED" } },
    history: [{ messageId: "m", content: [{ text: "Hi" }] }],
  });
  const response = await fetch(`${it.gateway.url}/a2a/writer/v1/tasks/none`, {
    headers: adminHeaders,
  });
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ type: "TaskNotFoundError", code: -32001 });
});

describe("errors", () => {
  const cases = [
    ["no JSON", "{", -32700],
    ["no request", { id: 1, method: "SendMessage" }, -32600],
    ["a method that is none", { jsonrpc: "2.0", id: 1, method: "Nothing", params: {} }, -32601],
    ["no message", { jsonrpc: "2.0", id: 1, method: "SendMessage", params: {} }, -32602],
    ["params that are none", { jsonrpc: "2.0", id: 1, method: "SendMessage", params: [] }, -32602],
    [
      "no parts",
      {
        jsonrpc: "2.0",
        id: 1,
        method: "message/send",
        params: { message: { messageId: "1", role: "user", parts: [] } },
      },
      -32602,
    ],
    [
      "an unknown task",
      { jsonrpc: "2.0", id: 1, method: "GetTask", params: { id: "nothing" } },
      -32001,
    ],
    [
      "an unknown task to go on with",
      { jsonrpc: "2.0", id: 1, method: "SendMessage", params: says10("x", { taskId: "nothing" }) },
      -32001,
    ],
    [
      "a picture as an answer",
      {
        jsonrpc: "2.0",
        id: 1,
        method: "SendMessage",
        params: { ...says10("x"), configuration: { acceptedOutputModes: ["image/png"] } },
      },
      -32005,
    ],
    [
      "a file that no model reads",
      {
        jsonrpc: "2.0",
        id: 1,
        method: "SendMessage",
        params: {
          message: {
            messageId: "1",
            role: "ROLE_USER",
            parts: [{ raw: "AAAA", mediaType: "application/zip" }],
          },
        },
      },
      -32005,
    ],
  ] as const;
  test.each(cases)("%s", async (_name, body, code) => {
    const answer = await post("/a2a/writer", body);
    expect(answer).toMatchObject({ status: 200, jsonrpc: "2.0", error: { code } });
    expect(answer["error"].message).toBeString();
  });

  test("a revision that is not spoken", async () => {
    const answer = await rpc("writer", "SendMessage", says10("x"), { "a2a-version": "9.9" });
    expect(answer).toMatchObject({
      error: { code: -32009, data: [{ reason: "VERSION_NOT_SUPPORTED" }] },
    });
  });

  test("an agent that is not there", async () => {
    const answer = await rpc("nobody", "SendMessage", says10("x"));
    expect(answer).toMatchObject({
      status: 404,
      error: { code: -32002, data: [{ reason: "AGENT_NOT_FOUND" }] },
    });
  });

  test("no key", async () => {
    const response = await fetch(`${it.gateway.url}/a2a/writer`, { method: "POST", body: "{}" });
    expect(response.status).toBe(401);
  });
});

describe("the reference client", () => {
  const all = [
    ["writer", "JSONRPC"],
    ["writer", "HTTP+JSON"],
    ["remote", "JSONRPC"],
    ["remote", "HTTP+JSON"],
    ["older", "JSONRPC"],
  ] as const;
  test.each(all)("%s by %s: send, stream, get, list, push", async (agent, transport) => {
    const client = await clientOf(agent, transport);
    const sent = await client.sendMessage(sdkMessage("Hello"));
    if (!("status" in sent)) throw new Error("a task was expected");
    expect(sent.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
    const got = await client.getTask({ tenant: "", id: sent.id });
    expect(got.id).toBe(sent.id);
    const kinds: (string | undefined)[] = [];
    for await (const event of client.sendMessageStream(sdkMessage("Hello")))
      kinds.push(event.payload?.$case);
    expect(kinds[0]).toBe("task");
    expect(kinds.at(-1)).toBe("statusUpdate");
    const page = await client.listTasks({
      ...{ tenant: "", contextId: sent.contextId, status: 0, pageToken: "" },
      statusTimestampAfter: undefined,
    });
    expect(page.tasks.map(({ id }) => id)).toEqual([sent.id]);
    const config = {
      tenant: "",
      id: "c1",
      taskId: sent.id,
      url: "https://hooks.example/x",
      token: "t",
      authentication: undefined,
    };
    expect(await client.createTaskPushNotificationConfig(config)).toMatchObject({
      id: "c1",
      taskId: sent.id,
    });
    expect(
      await client.getTaskPushNotificationConfig({ tenant: "", taskId: sent.id, id: "c1" }),
    ).toMatchObject({ url: config.url });
    await client.deleteTaskPushNotificationConfig({ tenant: "", taskId: sent.id, id: "c1" });
    await expect(
      client.cancelTask({ tenant: "", id: sent.id, metadata: undefined }),
    ).rejects.toThrow();
  });
});

describe("an agent elsewhere", () => {
  test("hears of the operator's key and of nothing of the caller's", async () => {
    upstream.heard.length = 0;
    await rpc("remote", "SendMessage", says10("Hello"), { cookie: "a=b" });
    const [heard] = upstream.heard;
    expect(heard?.headers).toMatchObject({
      authorization: "Bearer upstream-key",
      "x-team": "blue",
    });
    expect(heard?.headers["cookie"]).toBeUndefined();
    expect(JSON.stringify(heard)).not.toContain(master);
  });

  test("its ids stay behind the gateway, and go on by the gateway's", async () => {
    upstream.heard.length = 0;
    const { result } = await rpc("remote", "SendMessage", says10("ask"));
    expect(result.task.status.state).toBe("TASK_STATE_INPUT_REQUIRED");
    const { id, contextId } = result.task;
    const there = upstream.tasks.at(-1);
    expect(there).toBeDefined();
    expect(JSON.stringify(result)).not.toContain(String(there));
    const { result: next } = await rpc(
      "remote",
      "SendMessage",
      says10("more", { taskId: id, contextId }),
    );
    expect(next.task).toMatchObject({ id, contextId, status: { state: "TASK_STATE_COMPLETED" } });
    expect(upstream.tasks.at(-1)).toBe(String(there));
  });
});

describe("notifications", () => {
  test("come in order, with the token, in the words of the revision that asked", async () => {
    notified = [];
    const configuration = {
      taskPushNotificationConfig: { id: "n", url: "https://hooks.example/n", token: "secret" },
    };
    const { result } = await rpc("writer", "SendMessage", { ...says10("Hi"), configuration });
    await (await it.gateway.memory()).agents.push.settled();
    expect(notified.map(({ body }) => Object.keys(body)[0])).toEqual([
      "task",
      "statusUpdate",
      "artifactUpdate",
      "statusUpdate",
    ]);
    expect(notified.at(-1)).toMatchObject({
      headers: { "x-a2a-notification-token": "secret", "content-type": "application/a2a+json" },
      body: { statusUpdate: { taskId: result.task.id, status: { state: "TASK_STATE_COMPLETED" } } },
    });
    notified = [];
    const older = { pushNotificationConfig: { url: "https://hooks.example/o" } };
    await rpc("writer", "message/send", { ...says03("Hi"), configuration: older });
    await (await it.gateway.memory()).agents.push.settled();
    expect(notified.at(-1)?.body).toMatchObject({ kind: "task", status: { state: "completed" } });
  });

  const closed = ["http://localhost:1/", "http://169.254.169.254/latest", "http://[::1]/x"];
  test.each(closed)("do not go to %s: the caller is told at once", async (url) => {
    const { result } = await rpc("writer", "SendMessage", says10("Hi"));
    const config = { taskId: result.task.id, url };
    const { error } = await rpc("writer", "CreateTaskPushNotificationConfig", config);
    expect(error.code).toBe(-32602);
    expect(error.message).toContain("routeiq_settings.outbound");
  });

  test("what a receiver refuses is not tried again", async () => {
    notified = [];
    receive = () => new Response("", { status: 410 });
    const configuration = { taskPushNotificationConfig: { url: "https://hooks.example/gone" } };
    await rpc("writer", "SendMessage", { ...says10("Hi"), configuration });
    await (await it.gateway.memory()).agents.push.settled();
    receive = () => new Response("", { status: 200 });
    expect(notified).toHaveLength(4);
  });
});

describe("the registry", () => {
  test("an agent that is registered is served, listed without its secrets, and deleted", async () => {
    const body = {
      agent_name: "second",
      url: `${upstream.newer}/`,
      litellm_params: { api_key: "k-secret" },
    };
    const added = await post("/a2a/agents", body);
    expect(added).toMatchObject({ status: "registered", agent_name: "second" });
    expect(added["agent_id"]).toMatch(/^[0-9a-f]{64}$/);
    const listed = JSON.stringify([await get("/v1/agents"), await get("/a2a/agents")]);
    expect(listed).toContain("second");
    expect(listed).not.toContain("k-secret");
    // By request: an address on this machine is refused, where the operator's own is not.
    const real = await rpc("second", "SendMessage", says10("x"));
    expect(real["error"].message).toContain("address");
    expect(await post("/a2a/agents", body)).toMatchObject({ status: 400 });
    const response = await fetch(`${it.gateway.url}/v1/agents/second`, {
      method: "DELETE",
      headers: adminHeaders,
    });
    expect(response.status).toBe(200);
    expect(await get("/v1/agents/second")).toMatchObject({ detail: { error: "agent_not_found" } });
  });

  const send = async (method: string, path: string, body?: unknown, headers = {}) => {
    const response = await fetch(it.gateway.url + path, {
      ...{ method, headers: { ...adminHeaders, ...headers } },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, ...((await response.json()) as object) } as Body;
  };

  test("one is changed in its place, and what it was can be seen", async () => {
    const made = await post("/v1/agents", {
      ...{ agent_name: "changing", model: "llama", instructions: "One." },
      litellm_params: { temperature: 0.5, max_tokens: 9 },
    });
    expect(made).toMatchObject({ version: 1 });
    const path = `/v1/agents/${made["agent_id"]}`;
    const patched = await send("PATCH", path, {
      ...{ description: "Changed.", instructions: "Two." },
      litellm_params: { max_tokens: null },
    });
    expect(patched).toMatchObject({ ...{ status: 200, version: 2 }, description: "Changed." });
    expect(patched["agent_id"]).toBe(made["agent_id"]);
    asked = [];
    await rpc("changing", "SendMessage", says10("Hi"));
    expect(asked).toMatchObject([{ temperature: 0.5 }]);
    expect(asked[0]).not.toHaveProperty("max_tokens");
    expect(contentsOf(asked[0])).toEqual(["Two.", "Hi"]);
    const put = { agent_name: "changed", model: "llama" };
    expect(await send("PUT", path, put, { "if-match": "1" })).toMatchObject({ status: 409 });
    expect(await send("PUT", path, put, { "if-match": "2" })).toMatchObject({ version: 3 });
    const { data } = await send("GET", `${path}/versions`);
    const seen = data.map(({ version, agent_name, description }: Body) => [
      ...[version, agent_name, description],
    ]);
    expect(seen).toEqual([
      [3, "changed", ""],
      [2, "changing", "Changed."],
      [1, "changing", ""],
    ]);
    expect(await rpc("changing", "SendMessage", says10("Hi"))).toMatchObject({ status: 404 });
    expect(await send("PUT", "/v1/agents/writer", put)).toMatchObject({ status: 400 });
    expect(await send("PATCH", "/v1/agents/nobody", {})).toMatchObject({ status: 404 });
  });

  const wrongCards = [
    ["skills", { skills: [{ id: "x" }] }, "each needs an id, a name, a description and tags"],
    ["defaultInputModes", { defaultInputModes: "text" }, "media types"],
    ["capabilities", { capabilities: [] }, "streaming"],
  ] as const;
  test.each(wrongCards)("a card with wrong %s is refused, with what to write", async (...row) => {
    const [field, card, remedy] = row;
    const body = { agent_name: "wrong", model: "llama", agent_card_params: card };
    const answer = JSON.stringify(await post("/v1/agents", body));
    expect(answer).toContain(field);
    expect(answer).toContain(remedy);
  });

  test("one by the API publishes a model", async () => {
    await post("/v1/agents", { agent_name: "third", model: "llama" });
    const { result } = await rpc("third", "SendMessage", says10("x"));
    expect(textOf(result.task)).toBe("Hello");
  });

  test("an address that is none", async () => {
    expect(await post("/a2a/agents", { agent_name: "x", url: "file:///etc/passwd" })).toMatchObject(
      {
        detail: { error: "invalid_url" },
      },
    );
  });
});

describe("tasks in the store", () => {
  const caller = (id: string) => ({ id, tenant: "default", admin: false });
  const held = (id: string, deadlineMs: number) => ({
    task: {
      ...{ id, contextId: "c", artifacts: [], history: [] },
      status: { state: "TASK_STATE_WORKING", timestamp: new Date(0).toISOString() } as const,
    },
    ...{ agent: "g", owner: "ann", moves: [], upstream: undefined, deadlineMs },
  });
  // The test runner's own `rejects` does not let the records' thread answer.
  const refusal = (asked: Promise<unknown>): Promise<string> =>
    asked.then(
      () => "",
      (thrown) => String(thrown),
    );
  const open = (maxTasks: number) =>
    createTasks(it.gateway.records, systemClock, () => ({
      ttlMs: 60_000,
      maxTasks,
      maxTasksOfCaller: maxTasks,
    }));

  test("are their maker's alone, and of one agent", async () => {
    const tasks = open(10_000);
    await tasks.create(held("own-1", systemClock.now() + 60_000));
    expect((await tasks.get("own-1", "g", caller("ann"))).task.id).toBe("own-1");
    expect(await refusal(tasks.get("own-1", "g", caller("bob")))).toContain("no task");
    expect(await refusal(tasks.get("own-1", "other", caller("ann")))).toContain("no task");
  });

  test("one whose runner has died has failed; one that is over stays so", async () => {
    const tasks = open(10_000);
    const dead = held("dead-1", systemClock.now() - 1);
    await tasks.create(dead);
    const { task } = await tasks.get("dead-1", "g", caller("ann"));
    expect(task.status.state).toBe("TASK_STATE_FAILED");
    expect(await tasks.save(dead)).toBe(false);
  });

  test("are not more than one caller's share", async () => {
    const limits = () => ({ ttlMs: 60_000, maxTasks: 10_000, maxTasksOfCaller: 1 });
    const tasks = createTasks(it.gateway.records, systemClock, limits);
    const of = (id: string, owner: string) => ({ ...held(id, 0), owner });
    await tasks.create(of("share-1", "cyd"));
    expect(await refusal(tasks.create(of("share-2", "cyd")))).toContain("max_tasks_per_caller");
    await tasks.create(of("share-3", "dora"));
  });

  test("are not more than the limit", async () => {
    expect(await refusal(open(1).create(held("late-1", 0)))).toContain("max_tasks");
  });
});

test("a message to an agent elsewhere leaves a receipt, under the task's id", async () => {
  const { result } = await rpc("remote", "SendMessage", says10("Hello"));
  const receipt = await get(`/v1/routing/decisions/${result.task.id}`);
  expect(receipt).toMatchObject({ operation: "a2a_message", outcome: "success" });
});
