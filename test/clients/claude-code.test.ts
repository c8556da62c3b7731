/**
 * Claude Code's requests, as its documentation and its public traffic have them: beta headers, cache
 * markers, thinking, tools with JSON Schema's own fields, `?beta=true`, a count before the call. Towards
 * Anthropic they pass as they are; towards others they are translated.
 * Sources: docs.claude.com/en/docs/claude-code/llm-gateway, docs.claude.com/en/api/messages.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createOutbound } from "../../src/security/outbound.ts";
import { createFamilyUpstream } from "../support/family-upstream.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

const upstream = createFamilyUpstream();
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway({
    yaml: `
model_list:
  - {model_name: claude-sonnet-4-5-20250929, litellm_params: {model: anthropic/claude-sonnet-4-5-20250929, api_key: k, api_base: "${upstream.url}"}}
  - {model_name: claude-haiku-4-5-20251001, litellm_params: {model: openai/gpt-5-mini, api_key: k, api_base: "${upstream.url}/v1"}}
general_settings: {master_key: sk-master}
`,
    outbound: createOutbound(),
  });
});
afterAll(async () => {
  await gateway.gateway.close();
  upstream.close();
});

const beta =
  "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14";
const headers = {
  accept: "application/json",
  "anthropic-beta": beta,
  "anthropic-dangerous-direct-browser-access": "true",
  "anthropic-version": "2023-06-01",
  authorization: "Bearer sk-master",
  "content-type": "application/json",
  "user-agent": "claude-cli/2.0.14 (external, cli)",
  "x-app": "cli",
  "x-stainless-helper-method": "stream",
  "x-stainless-lang": "js",
  "x-stainless-retry-count": "0",
  "x-stainless-timeout": "600",
};
const ephemeral = { type: "ephemeral" };
const tools = [
  {
    name: "Bash",
    description: "Executes a given bash command in a persistent shell session.",
    input_schema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties: {
        command: { type: "string", description: "The command to execute" },
        timeout: { type: "number", description: "Optional timeout in milliseconds (max 600000)" },
        run_in_background: { type: "boolean" },
      },
      required: ["command"],
      additionalProperties: false,
    },
  },
  {
    name: "TodoWrite",
    description: "Create and manage a structured task list.",
    input_schema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties: {
        todos: {
          type: "array",
          items: {
            type: "object",
            properties: {
              content: { type: "string", minLength: 1 },
              status: { type: "string", enum: ["pending", "in_progress", "completed"] },
            },
            required: ["content", "status"],
            additionalProperties: false,
          },
        },
      },
      required: ["todos"],
      additionalProperties: false,
    },
  },
  { type: "web_search_20250305", name: "web_search", max_uses: 8 },
];
const system = [
  {
    type: "text",
    text: "You are Claude Code, Anthropic's official CLI for Claude.",
    cache_control: ephemeral,
  },
  { type: "text", text: "You are an interactive CLI tool.", cache_control: ephemeral },
];
const first = {
  role: "user",
  content: [
    { type: "text", text: "<system-reminder>\nThe todo list is empty.\n</system-reminder>" },
    { type: "text", text: "list the files", cache_control: ephemeral },
  ],
};
const turn = {
  model: "claude-sonnet-4-5-20250929",
  messages: [
    first,
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "I should list them.", signature: "c2lnbmF0dXJl" },
        { type: "text", text: "Let me look." },
        { type: "tool_use", id: "toolu_01A", name: "Bash", input: { command: "ls" } },
        { type: "tool_use", id: "toolu_01B", name: "Bash", input: { command: "ls -a" } },
      ],
    },
    {
      role: "user",
      content: [
        { tool_use_id: "toolu_01A", type: "tool_result", content: "a.ts\nb.ts", is_error: false },
        {
          tool_use_id: "toolu_01B",
          type: "tool_result",
          content: [{ type: "text", text: "permission denied" }],
          is_error: true,
          cache_control: ephemeral,
        },
      ],
    },
  ],
  system,
  tools,
  metadata: { user_id: "user_0a1b_account__session_6f9619ff-8b86-d011-b42d-00cf4fc964ff" },
  max_tokens: 32_000,
  thinking: { budget_tokens: 31_999, type: "enabled" },
  context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
  stream: true,
};

const post = (path: string, body: object) =>
  fetch(`${gateway.gateway.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });

describe("to Anthropic", () => {
  test("a turn passes field by field, with its beta features", async () => {
    const response = await post("/v1/messages?beta=true", turn);
    const text = await response.text();
    expect(response.status).toBe(200);
    expect(text).toContain("event: message_stop");
    const { body, headers: sent } = upstream.last();
    expect(body).toEqual(turn as never);
    expect(sent.get("anthropic-beta")).toBe(beta);
    expect(sent.get("anthropic-version")).toBe("2023-06-01");
    expect(sent.get("x-api-key")).toBe("k");
    expect(sent.get("authorization")).toBeNull(); // the gateway's own key stays here
  });

  test("the quota probe and the title of a session, not streamed", async () => {
    const probe = { max_tokens: 1, messages: [{ role: "user", content: "quota" }] };
    const response = await post("/v1/messages?beta=true", { model: turn.model, ...probe });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ type: "message", role: "assistant" });
  });
});

describe("to another provider", () => {
  const other = { ...turn, model: "claude-haiku-4-5-20251001" };

  test("a turn without what only Anthropic runs is translated whole", async () => {
    const response = await post("/v1/messages?beta=true", { ...other, tools: tools.slice(0, 2) });
    const text = await response.text();
    expect({ status: response.status, text }).toMatchObject({ status: 200 });
    expect(text).toContain("event: message_stop");
    const { body } = upstream.last();
    const roles = (body["messages"] as { role: string }[]).map(({ role }) => role);
    expect(roles).toEqual(["system", "user", "assistant", "tool", "tool"]);
    const [bash] = body["tools"] as { function: { name: string; parameters: object } }[];
    expect(bash?.function).toMatchObject({
      name: "Bash",
      parameters: { required: ["command"], additionalProperties: false },
    });
    expect(JSON.stringify(body)).not.toContain("cache_control");
    expect(JSON.stringify(body)).not.toContain("c2lnbmF0dXJl");
  });

  test("what runs only at Anthropic is refused by name", async () => {
    const response = await post("/v1/messages?beta=true", other);
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { type: string; message: string } };
    expect(error.type).toBe("invalid_request_error");
    expect(error.message).toContain("web_search_20250305");
  });
});

test.each([turn.model, "claude-haiku-4-5-20251001"])(
  "a count before the call: %s",
  async (model) => {
    const { messages } = turn;
    const response = await post("/v1/messages/count_tokens?beta=true", { model, messages, tools });
    const text = await response.text();
    // The upstream of this test counts nothing: an Anthropic that fails to is told, another estimated.
    if (model === turn.model) expect([200, 404]).toContain(response.status);
    else expect(JSON.parse(text).input_tokens).toBeGreaterThan(50);
  },
);

test("a key in x-api-key does as well", async () => {
  const { authorization: _, ...rest } = headers;
  const response = await fetch(`${gateway.gateway.url}/v1/messages?beta=true`, {
    method: "POST",
    headers: { ...rest, "x-api-key": "sk-master" },
    body: JSON.stringify({ ...turn, stream: false }),
  });
  expect(response.status).toBe(200);
  expect(upstream.last().headers.get("x-api-key")).toBe("k");
});
