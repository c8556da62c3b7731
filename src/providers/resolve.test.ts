/** LiteLLM's rules of who serves a model, case by case. */
import { describe, expect, test } from "bun:test";
import { resolveProvider } from "./resolve.ts";

const env = {
  OPENAI_API_KEY: "sk-env",
  TOGETHER_API_KEY: "tk",
  OLLAMA_API_BASE: "http://box:11434/",
};

describe("served", () => {
  const cases = [
    // litellm_params                                          provider, upstream model, base, key
    [{ model: "openai/gpt-4o" }, ["openai", "gpt-4o", "https://api.openai.com/v1", "sk-env"]],
    [{ model: "gpt-4o" }, ["openai", "gpt-4o", "https://api.openai.com/v1", "sk-env"]],
    [{ model: "o3" }, ["openai", "o3", "https://api.openai.com/v1", "sk-env"]],
    [
      { model: "claude-sonnet-4-5", api_key: "k" },
      ["anthropic", "claude-sonnet-4-5", "https://api.anthropic.com", "k"],
    ],
    [
      { model: "anthropic/claude-x", api_base: "https://proxy/v1/messages" },
      ["anthropic", "claude-x", "https://proxy", undefined],
    ],
    [
      { model: "anthropic/claude-x", api_base: "https://proxy/v1/" },
      ["anthropic", "claude-x", "https://proxy", undefined],
    ],
    [
      { model: "openai/meta/llama", api_base: "http://host:8000/v1/", api_key: "k" },
      ["openai", "meta/llama", "http://host:8000/v1", "k"],
    ],
    [
      { model: "openai/x", base_url: "http://host/v1/chat/completions" },
      ["openai", "x", "http://host/v1", "sk-env"],
    ],
    [
      { model: "together_ai/meta-llama/L3" },
      ["together_ai", "meta-llama/L3", "https://api.together.ai/v1", "tk"],
    ],
    [{ model: "ollama_chat/llama3" }, ["ollama", "llama3", "http://box:11434", undefined]],
    [
      { model: "ollama/llama3", api_base: "http://localhost:11434/v1" },
      ["ollama", "llama3", "http://localhost:11434", undefined],
    ],
    [
      { model: "meta/llama", custom_llm_provider: "openai", api_base: "http://h/v1" },
      ["openai", "meta/llama", "http://h/v1", "sk-env"],
    ],
    [
      { model: "groq/x", custom_llm_provider: "groq" },
      ["groq", "x", "https://api.groq.com/openai/v1", undefined],
    ],
    [
      { model: "meta-llama/x", api_base: "https://openrouter.ai/api/v1" },
      ["openrouter", "meta-llama/x", "https://openrouter.ai/api/v1", undefined],
    ],
    [
      { model: "fireworks_ai/llama" },
      [
        "fireworks_ai",
        "accounts/fireworks/models/llama",
        "https://api.fireworks.ai/inference/v1",
        undefined,
      ],
    ],
    [
      { model: "huggingface/together/meta/l3" },
      ["huggingface", "meta/l3:together", "https://router.huggingface.co/v1", undefined],
    ],
    [
      { model: "vllm/x", api_base: "http://h:8000" },
      ["hosted_vllm", "x", "http://h:8000", undefined],
    ],
    [{ model: "openai/*" }, ["openai", "*", "https://api.openai.com/v1", "sk-env"]],
  ] as const;
  test.each(cases)("%j", (params, [provider, model, base, key]) => {
    const found = resolveProvider(params, env);
    if (found.status !== "served") throw new Error(found.message);
    expect([found.provider.name, found.upstreamModel, found.apiBase, found.apiKey]).toEqual([
      provider,
      model,
      base,
      key,
    ]);
  });

  test("says which key was looked for in vain, and only where one is needed", () => {
    expect(resolveProvider({ model: "groq/x" }, {})).toMatchObject({
      missingKey: ["GROQ_API_KEY"],
    });
    expect(resolveProvider({ model: "ollama/x" }, {})).not.toHaveProperty("missingKey");
    expect(resolveProvider({ model: "openai/x", api_base: "http://h" }, {})).not.toHaveProperty(
      "missingKey",
    );
  });
});

describe("served at an address of the operator's own", () => {
  const account = {
    type: "service_account",
    project_id: "p1",
    client_email: "a@b",
    private_key: "k",
  };
  const cases = [
    // litellm_params, environment                         provider, upstream model, base, query, token
    [
      { model: "azure/dep", api_base: "https://x.openai.azure.com/", api_key: "k" },
      {},
      [
        "azure",
        "dep",
        "https://x.openai.azure.com/openai/deployments/{model}",
        "api-version=2025-02-01-preview",
        undefined,
      ],
    ],
    [
      { model: "azure/dep", api_version: "2024-10-21" },
      { AZURE_API_BASE: "https://x.openai.azure.com", AZURE_API_KEY: "k" },
      [
        "azure",
        "dep",
        "https://x.openai.azure.com/openai/deployments/{model}",
        "api-version=2024-10-21",
        undefined,
      ],
    ],
    [
      { model: "azure/dep", api_base: "https://gw/openai/deployments/other", azure_ad_token: "t" },
      { AZURE_API_KEY: "k", AZURE_API_VERSION: "2024-06-01" },
      [
        "azure",
        "dep",
        "https://gw/openai/deployments/other",
        "api-version=2024-06-01",
        { kind: "fixed", token: "t" },
      ],
    ],
    [
      {
        model: "azure/dep",
        api_base: "https://x.openai.azure.com",
        api_version: "preview",
        api_key: "k",
      },
      {},
      ["azure", "dep", "https://x.openai.azure.com/openai/v1", "api-version=preview", undefined],
    ],
    [
      { model: "azure/dep", api_base: "https://x.openai.azure.com/openai/v1/", api_key: "k" },
      {},
      ["azure", "dep", "https://x.openai.azure.com/openai/v1", undefined, undefined],
    ],
    [
      {
        model: "azure/dep",
        api_base: "https://x",
        tenant_id: "t/x",
        client_id: "c",
        client_secret: "s",
      },
      {},
      [
        "azure",
        "dep",
        "https://x/openai/deployments/{model}",
        "api-version=2025-02-01-preview",
        {
          kind: "entra",
          tokenUrl: "https://login.microsoftonline.com/t%2Fx/oauth2/v2.0/token",
          clientId: "c",
          clientSecret: "s",
          scope: "https://cognitiveservices.azure.com/.default",
        },
      ],
    ],
    [
      {
        model: "vertex_ai/gemini-2.5-pro",
        vertex_project: "p",
        vertex_location: "europe-west4",
        vertex_credentials: "/k.json",
      },
      {},
      [
        "vertex_ai",
        "gemini-2.5-pro",
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p/locations/europe-west4",
        undefined,
        { kind: "google", credentials: "/k.json" },
      ],
    ],
    [
      {
        model: "vertex_ai/claude-sonnet-4-5@20250929",
        vertex_location: "global",
        vertex_credentials: account,
      },
      {},
      [
        "vertex_ai_anthropic",
        "claude-sonnet-4-5@20250929",
        "https://aiplatform.googleapis.com/v1/projects/p1/locations/global",
        undefined,
        { kind: "google", credentials: JSON.stringify(account) },
      ],
    ],
    [
      { model: "vertex_ai/meta/llama-4-maverick", vertex_location: "eu" },
      { VERTEXAI_PROJECT: "p", HOME: "/home/u" },
      [
        "vertex_ai_open",
        "meta/llama-4-maverick",
        "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu",
        undefined,
        {
          kind: "google",
          credentials: "/home/u/.config/gcloud/application_default_credentials.json",
          metadataHost: "metadata.google.internal",
        },
      ],
    ],
    [
      { model: "gemini/gemini-2.5-flash", api_base: "https://generativelanguage.googleapis.com" },
      { GEMINI_API_KEY: "k" },
      [
        "gemini",
        "gemini-2.5-flash",
        "https://generativelanguage.googleapis.com/v1beta",
        undefined,
        undefined,
      ],
    ],
    [
      {
        model: "gemini-2.5-flash",
        api_base: "https://generativelanguage.googleapis.com/v1beta/openai/",
      },
      {},
      [
        "gemini",
        "gemini-2.5-flash",
        "https://generativelanguage.googleapis.com/v1beta",
        undefined,
        undefined,
      ],
    ],
  ] as const;
  test.each(cases)("%j with %j", (params, environment, [provider, model, base, query, token]) => {
    const found = resolveProvider(params, environment);
    if (found.status !== "served") throw new Error(found.message);
    expect(found).toMatchObject({
      provider: { name: provider },
      upstreamModel: model,
      apiBase: base,
    });
    expect(found.query).toBe(query as string);
    expect(found.token).toEqual(token as never);
    if (token) expect(found).not.toHaveProperty("apiKey");
  });
});

describe("not served", () => {
  const cases = [
    [{ model: "sagemaker/x" }, "not_served_yet", '"sagemaker"'],
    [{ model: "bedrock/agent/ABC/DEF" }, "not_served_yet", '"bedrock/agent"'],
    [{ model: "bedrock/a.b", aws_region_name: "x/y" }, "incomplete", '"x/y"'],
    [{ model: "azure/my-deployment" }, "incomplete", "Azure OpenAI has no address"],
    [{ model: "x", custom_llm_provider: "vertex_ai" }, "incomplete", "none is named"],
    [{ model: "vertex_ai/gemini-x", vertex_project: "a/../b" }, "incomplete", '"a/../b"'],
    [{ model: "opnai/gpt-4o" }, "unknown", '"opnai"'],
    [{ model: "some-model" }, "unknown", '"some-model"'],
    [{ model: "meta-llama/x" }, "unknown", '"meta-llama"'],
    [{ model: "x", custom_llm_provider: "nobody" }, "unknown", '"nobody"'],
    [{ model: "hosted_vllm/x" }, "incomplete", "hosted_vllm"],
  ] as const;
  test.each(cases)("%j", (params, status, name) => {
    const found = resolveProvider(params, env);
    expect(found.status).toBe(status);
    if (found.status === "served") return;
    expect(found.message).toContain(name);
    expect(found.remedy).not.toBeEmpty();
  });

  test("a slip is answered with the nearest names", () => {
    expect(resolveProvider({ model: "opnai/gpt-4o" }, {})).toMatchObject({
      remedy: expect.stringContaining("openai"),
    });
  });
});
