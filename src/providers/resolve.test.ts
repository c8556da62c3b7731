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
    [{ model: "ollama_chat/llama3" }, ["ollama", "llama3", "http://box:11434/v1", undefined]],
    [
      { model: "ollama/llama3", api_base: "http://localhost:11434/v1" },
      ["ollama", "llama3", "http://localhost:11434/v1", undefined],
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

describe("not served", () => {
  const cases = [
    [{ model: "bedrock/anthropic.claude-v2" }, "not_served_yet", '"bedrock"'],
    [
      { model: "azure/my-deployment", api_base: "https://x.openai.azure.com" },
      "not_served_yet",
      '"azure"',
    ],
    [{ model: "x", custom_llm_provider: "vertex_ai" }, "not_served_yet", '"vertex_ai"'],
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
