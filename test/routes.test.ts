/** Every route with every role, and the routes' own answers, against a running gateway. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { unreadParts } from "../scripts/unread-parts.ts";
import { slowRouteTable } from "../src/http/slow-routes.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const yaml = `
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: sk-upstream-secret-1}
    model_info: {id: row-1}
  - model_name: anthropic/*
    litellm_params: {model: anthropic/*, api_key: sk-upstream-secret-2}
  - model_name: embed
    litellm_params: {model: openai/text-embedding-3-small, api_key: sk-upstream-secret-3}
    model_info: {mode: embedding}
router_settings:
  model_group_alias: {gpt-4: gpt-4o, quiet: {model: gpt-4o, hidden: true}}
routeiq_settings: {cors_origins: ["https://app.example"]}
`;
const master = "sk-master-0123456789";
const adminKey = "admin-key-one";

let keyed: TestGateway;
let open: TestGateway;
beforeAll(async () => {
  const env = { LITELLM_MASTER_KEY: master, ADMIN_API_KEYS: `${adminKey},admin-key-two` };
  keyed = await startTestGateway({ yaml, env });
  open = await startTestGateway({ yaml });
});
afterAll(async () => {
  await keyed.gateway.close();
  await open.gateway.close();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

async function call(to: TestGateway, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(to.gateway.url + path, init);
  const endless = response.headers.get("content-type")?.startsWith("text/event-stream");
  if (endless) await response.body?.cancel();
  const text = endless ? "" : await response.text();
  const json = response.headers.get("content-type")?.startsWith("application/json") && text !== "";
  return {
    status: response.status,
    headers: response.headers,
    body: json ? JSON.parse(text) : { text },
  };
}

const roles = {
  nobody: {},
  "a wrong key": { authorization: "Bearer sk-wrong-0123456789" },
  "an admin key": { "x-admin-api-key": adminKey },
  "an admin key as Bearer": { authorization: "Bearer admin-key-two" },
  "the master key": { authorization: `Bearer ${master}` },
  "the master key as x-api-key": { "x-api-key": master },
} as const;
type Role = keyof typeof roles;

const letIn: Record<string, readonly Role[]> = {
  anyone: Object.keys(roles) as Role[],
  caller: ["the master key", "the master key as x-api-key"],
  admin: [
    "an admin key",
    "an admin key as Bearer",
    "the master key",
    "the master key as x-api-key",
  ],
};

letIn["caller-or-admin"] = letIn["admin"] ?? [];
letIn["caller-unless-open"] = letIn["admin"] ?? [];

const hotPaths = [
  "/v1/chat/completions",
  "/chat/completions",
  "/v1/messages",
  "/v1/embeddings",
  "/embeddings",
  "/v1/responses",
  "/responses",
  "/openai/v1/responses",
  "/openai/deployments/gpt-4o/chat/completions",
  "/v1beta/models/gpt-4o:generateContent",
  "/v1beta/models/gpt-4o:streamGenerateContent",
];

describe("who may call what", () => {
  const table = slowRouteTable(unreadParts({ services: () => keyed.gateway.services() }));
  const rows = [
    ...table.map(
      ({ method, path, suffix = "", who }) =>
        [method, path.replace("*", `gpt-4o${suffix}`), who] as const,
    ),
    ...hotPaths.map((path) => ["POST", path, "caller"] as const),
  ];
  test.each(rows)("%s %s: %s", async (method, path, who) => {
    for (const role of Object.keys(roles) as Role[]) {
      const { status } = await call(keyed, path, { method, headers: roles[role] });
      const refused = status === 401 || status === 403;
      expect({ role, refused, status }).toEqual({
        role,
        refused: !letIn[who]?.includes(role),
        status,
      });
    }
  });

  test.each(rows)("%s %s without any key configured, on this machine", async (method, path) => {
    const { status } = await call(open, path, { method });
    expect(status === 401 || status === 403).toBe(false);
  });

  test("a page of another site is not let in where no key is asked", async () => {
    for (const headers of [{ "sec-fetch-site": "cross-site" }, { host: "rebound.example" }]) {
      expect((await call(open, "/v1/models", { headers })).status).toBe(403);
      expect((await call(open, "/config/reload", { method: "POST", headers })).status).toBe(403);
    }
    const headers = { "sec-fetch-site": "cross-site", origin: "https://app.example" };
    expect((await call(open, "/v1/models", { headers })).status).toBe(200);
  });

  test("refusals have their family's form", async () => {
    const detail = await call(keyed, "/router/info", { headers: { "x-request-id": "mine" } });
    expect(detail.status).toBe(401);
    expect(detail.headers.get("x-request-id")).toBe("mine");
    expect(detail.body).toEqual({
      detail: {
        error: "admin_key_required",
        message: "Send the master key or an admin key as X-Admin-API-Key or Authorization: Bearer.",
        request_id: "mine",
      },
    });
    const wrong = await call(keyed, "/router/info", { headers: roles["a wrong key"] });
    expect(wrong.body["detail"]).toMatchObject({ error: "invalid_admin_key" });
    const openai = await call(keyed, "/v1/models");
    expect(openai.body).toEqual({
      error: {
        message: expect.stringContaining("No api key passed in"),
        type: "authentication_error",
        param: null,
        code: "missing_api_key",
      },
    });
  });
});

describe("models", () => {
  test("the list shows groups, aliases that are not hidden, and auto", async () => {
    const { body } = await call(open, "/v1/models");
    expect(body["object"]).toBe("list");
    const data = body["data"] as { id: string; owned_by: string }[];
    expect(data.map(({ id, owned_by }) => `${id} ${owned_by}`)).toEqual([
      "gpt-4o openai",
      "embed openai",
      "gpt-4 openai",
      "auto routeiq",
    ]);
    expect(data[0]).toEqual({
      id: "gpt-4o",
      object: "model",
      created: 1677610602,
      owned_by: "openai",
    } as never);
    const all = await call(open, "/models?return_wildcard_routes=true");
    expect((all.body["data"] as { id: string }[]).map(({ id }) => id)).toContain("anthropic/*");
  });

  test("one model, by name, alias or wildcard", async () => {
    for (const id of [
      "gpt-4o",
      "gpt-4",
      "quiet",
      "auto",
      "anthropic/claude-x",
      "anthropic%2Fclaude-y",
      "row-1",
    ]) {
      const { status, body } = await call(open, `/v1/models/${id}`);
      expect([id, status, body["id"]]).toEqual([id, 200, decodeURIComponent(id)]);
    }
    const { status, body } = await call(open, "/v1/models/nope");
    expect(status).toBe(404);
    expect(body["error"]).toMatchObject({
      code: "model_not_found",
      param: "model",
      type: "invalid_request_error",
    });
  });

  test("Anthropic's clients get Anthropic's form", async () => {
    const { body } = await call(open, "/v1/models", {
      headers: { "anthropic-version": "2023-06-01" },
    });
    expect(body).toMatchObject({ has_more: false, first_id: "gpt-4o", last_id: "auto" });
    expect((body["data"] as unknown[])[0]).toMatchObject({ type: "model", id: "gpt-4o" });
  });

  test("/model/info tells of deployments and no secret", async () => {
    const { body } = await call(open, "/model/info");
    expect(JSON.stringify(body)).not.toContain("secret");
    expect(body["data"]).toHaveLength(3);
    expect((body["data"] as unknown[])[0]).toMatchObject({
      model_name: "gpt-4o",
      litellm_params: { model: "openai/gpt-4o" },
      model_info: { id: "row-1", mode: "chat", db_model: false },
    });
  });
});

describe("health", () => {
  test("alive, ready, and LiteLLM's words for it", async () => {
    expect((await call(keyed, "/_health/live")).body).toEqual({
      status: "alive",
      service: "routeiq",
    });
    const ready = await call(keyed, "/_health/ready");
    expect(ready.status).toBe(200);
    expect(ready.body).toMatchObject({
      status: "ready",
      is_degraded: false,
      checks: {
        drain_status: { status: "accepting", active_requests: 0 },
        circuit_breakers: { status: "healthy", open_breakers: [], breakers: {} },
        artifact: { status: "none" },
      },
      request_id: expect.any(String),
    });
    expect((await call(keyed, "/health/liveliness")).body as unknown).toBe("I'm alive!" as never);
    expect((await call(keyed, "/health/readiness")).body).toMatchObject({ status: "healthy" });
    expect((await call(keyed, "/health/liveness", { method: "HEAD" })).status).toBe(200);
  });

  test("a missing router is degraded, with the way out", async () => {
    const strategy =
      "router_settings: {routing_strategy: llmrouter-knn}\nmodel_list: [{model_name: a, litellm_params: {model: openai/a, api_key: k}}]\n";
    const degraded = await startTestGateway({ yaml: strategy });
    const { status, body } = await call(degraded, "/_health/ready");
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: "degraded",
      is_degraded: true,
      checks: {
        artifact: { status: "missing", code: expect.any(String), remedy: expect.any(String) },
      },
    });
    await degraded.gateway.close();
  });

  test("draining is 503 and not ready", async () => {
    const leaving = await startTestGateway({ yaml });
    await leaving.gateway.drain();
    const { status, body } = await call(leaving, "/_health/ready");
    expect(status).toBe(503);
    expect(body["detail"]).toMatchObject({
      status: "not_ready",
      checks: { drain_status: { status: "draining" } },
    });
    expect((await call(leaving, "/_health/live")).status).toBe(200);
    expect((await call(leaving, "/health/readiness")).status).toBe(503);
    await leaving.gateway.close();
  });
});

describe("reloading", () => {
  const headers = { "x-admin-api-key": adminKey };
  const reload = (body?: string) =>
    call(keyed, "/config/reload", {
      method: "POST",
      headers,
      ...(body === undefined ? {} : { body }),
    });

  test("a good configuration is taken, a bad one refused and the old one kept", async () => {
    keyed.setYaml(yaml.replace("gpt-4o\n", "gpt-5\n"));
    const good = await reload('{"force_sync": false, "strategy": null}');
    expect(good.body).toMatchObject({
      status: "success",
      message: "Config reload triggered",
      synced_from_remote: false,
    });
    expect(
      (await call(keyed, "/v1/models/gpt-5", { headers: roles["the master key"] })).status,
    ).toBe(200);
    keyed.setYaml("model_list:\n\t- x\n");
    const bad = await reload();
    expect(bad.status).toBe(400);
    expect(bad.body["detail"]).toMatchObject({
      error: "config_reload_failed",
      message: expect.stringContaining("/config.yaml:2: not valid YAML: Tabs"),
      findings: [{ line: 2, column: 1, level: "error" }],
    });
    expect(
      (await call(keyed, "/v1/models/gpt-5", { headers: roles["the master key"] })).status,
    ).toBe(200);
    const info = await call(keyed, "/router/info", { headers });
    expect(info.body["config"]).toMatchObject({ last_outcome: "refused" });
    keyed.setYaml(yaml);
    await reload();
  });

  test("bodies that are no objects are refused", async () => {
    for (const body of ["[1]", "nope", "\xff"]) {
      const { status, body: answer } = await reload(body);
      expect([status, (answer["detail"] as { error: string }).error]).toEqual([
        400,
        "invalid_request",
      ]);
    }
    expect((await reload("x".repeat(70_000))).status).toBe(413);
  });

  test("/llmrouter/reload says which strategy is meant", async () => {
    const post = (body: string) =>
      call(keyed, "/llmrouter/reload", { method: "POST", headers, body });
    expect((await post("{}")).body).toMatchObject({
      status: "success",
      strategy: "simple-shuffle",
    });
    expect((await post('{"strategy": "llmrouter-knn"}')).body["detail"]).toMatchObject({
      error: "strategy_not_active",
    });
    expect((await post('{"strategy": "nope"}')).body["detail"]).toMatchObject({
      error: "unknown_strategy",
    });
  });
});

describe("what is not there", () => {
  const cases: readonly (readonly [string, string, number, string, string | null])[] = [
    ["GET", "/nothing", 404, "not_found", null],
    ["GET", "/v1/chat/completions", 405, "method_not_allowed", "POST"],
    ["DELETE", "/v1/models", 405, "method_not_allowed", "GET"],
    ["GET", "/config/reload", 405, "method_not_allowed", "POST"],
    ["POST", "/v1/models/x", 405, "method_not_allowed", "GET"],
  ];
  test.each(cases)("%s %s", async (method, path, status, code, allow) => {
    const answer = await call(open, path, { method });
    expect([answer.status, answer.headers.get("allow")]).toEqual([status, allow]);
    expect(answer.body["error"]).toMatchObject({
      code,
      type: "invalid_request_error",
      param: null,
    });
  });
});

describe("cross-origin", () => {
  const ask = (origin: string) =>
    call(keyed, "/v1/chat/completions", {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
      },
    });
  test("a listed origin may, another may not", async () => {
    const listed = await ask("https://app.example");
    expect(listed.status).toBe(204);
    expect(listed.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(listed.headers.get("access-control-allow-headers")).toBe("authorization, content-type");
    expect(listed.headers.get("vary")).toBe("Origin");
    const other = await ask("https://evil.example");
    expect([other.status, other.headers.get("access-control-allow-origin")]).toEqual([405, null]);
  });
  test("errors carry the headers as well, so that a page can read them", async () => {
    const { status, headers } = await call(keyed, "/v1/models", {
      headers: { origin: "https://app.example" },
    });
    expect([status, headers.get("access-control-allow-origin")]).toEqual([
      401,
      "https://app.example",
    ]);
  });
});

test("the page at / runs nothing and says what to try", async () => {
  const { status, headers, body } = await call(keyed, "/");
  expect(status).toBe(200);
  expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(body["text"]).toContain("/v1/chat/completions");
});
