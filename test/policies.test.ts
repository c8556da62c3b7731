/** Strategies that ask language models, over real HTTP: who is asked, what is billed, what is told. */
import { afterEach, describe, expect, test } from "bun:test";
import { showReceipt } from "../src/cli/receipt-text.ts";
import type { Receipt } from "../src/domain/decision.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { type Question, type Reaction, startTalkingModels } from "./support/talking-models.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** `tiny` costs 0.1 USD per million tokens in and 1 out, `grand` ten times that, the router nothing much. */
const rows = (url: string) => `
model_list:
  - {model_name: pool, litellm_params: {model: openai/tiny, api_base: "${url}", api_key: k, input_cost_per_token: 0.0000001, output_cost_per_token: 0.000001}, model_info: {description: quick at sums}}
  - {model_name: pool, litellm_params: {model: openai/grand, api_base: "${url}", api_key: k, input_cost_per_token: 0.000001, output_cost_per_token: 0.00001}}
  - {model_name: guide, litellm_params: {model: openai/guide, api_base: "${url}", api_key: k, input_cost_per_token: 0.0000001, output_cost_per_token: 0.000001}}
  - {model_name: older, litellm_params: {model: openai/guide, api_base: "${url}", api_key: k}, model_info: {mode: completion}}
  - {model_name: alone, litellm_params: {model: openai/solo, api_base: "${url}", api_key: k}}
`;

async function world(settings: string, react: (question: Question) => Reaction) {
  const models = startTalkingModels(react);
  closers.push(models.stop);
  const it: TestGateway = await startTestGateway({
    yaml: `${rows(models.url)}\nrouter_settings:\n  num_retries: 1\n${settings}`,
    outbound: createOutbound(),
  });
  closers.push(it.gateway.close);
  const { url } = it.gateway;
  async function ask(body: object, path = "/v1/chat/completions", init: RequestInit = {}) {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
      body: JSON.stringify({
        model: "pool",
        messages: [{ role: "user", content: "What is 2 + 2?" }],
        ...body,
      }),
      ...init,
    });
    const text = await response.text();
    const id = response.headers.get("x-routeiq-call-id") ?? "";
    const found = await fetch(`${url}/v1/routing/decisions/${id}`);
    return { response, text, id, receipt: (await found.json()) as Receipt };
  }
  const say = (text: string) => JSON.parse(text).choices[0].message.content;
  const who = () => models.asked.map(({ model }) => model).join(" ");
  return { models, it, ask, say, who, url };
}

const strategy = (name: string, args = "") =>
  `  routing_strategy: ${name}\n  routing_strategy_args: {${args}}\n`;

describe("llmrouter-causallm", () => {
  const settings = strategy("llmrouter-causallm", "router_model: guide");

  test.each([
    ["grand"],
    ["openai/grand"],
    [' "Grand".\nBecause it is better than tiny.'],
    ["<think>tiny? no</think>\nBest model: grand"],
    ['{"model": "grand"}'],
  ])("%p leads to grand", async (named) => {
    const { ask, say, who } = await world(settings, ({ model }) =>
      model === "guide" ? named : `${model} says 4`,
    );
    const { text, response, receipt } = await ask({});
    expect(say(text)).toBe("grand says 4");
    expect(who()).toBe("guide grand");
    expect(response.headers.get("x-routeiq-strategy")).toBe("llmrouter-causallm");
    expect(response.headers.get("x-routeiq-model")).toBe("openai/grand");
    // 100 × 0.1 + 10 × 1 micro-USD for the word, ten times that for the answer.
    expect(response.headers.get("x-routeiq-cost-usd")).toBe("0.00022");
    expect(receipt.costMicroUsd).toBe(220);
    expect(receipt.strategyCalls).toMatchObject([
      { purpose: "route", model: "openai/guide", outcome: "ok", attempts: 1, costMicroUsd: 20 },
    ]);
    expect(receipt.decision).toMatchObject({
      strategy: "llmrouter-causallm",
      reason: "named",
      chosen: "openai/grand",
      note: "openai/guide named openai/grand",
    });
    expect(receipt.attempts).toMatchObject([{ model: "openai/grand", because: "first" }]);
  });

  test("the prompt has the names, what is known of them, and the query", async () => {
    const { ask, models } = await world(settings, ({ model }) =>
      model === "guide" ? "tiny" : "4",
    );
    await ask({});
    const { text, body } = models.asked[0] as Question;
    expect(text).toContain("- tiny: quick at sums; USD per million tokens: 0.1 in, 1 out");
    expect(text).toContain("Query: What is 2 + 2?");
    expect(body).toMatchObject({ model: "guide", max_tokens: 32, temperature: 0.1, stop: ["\n"] });
  });

  test("a model's own prompt, by the older text API", async () => {
    const own = strategy(
      "llmrouter-causallm",
      'router_model: older, router_api: completion, prompt_template: "Available LLMs: {models}\\n\\nQuery: {query}\\n\\nBest LLM:"',
    );
    const { ask, models, say } = await world(own, ({ model }) =>
      model === "guide" ? " grand" : "4",
    );
    const { text } = await ask({ messages: [{ role: "user", content: "{models}?" }] });
    expect(say(text)).toBe("4");
    expect(models.asked[0]?.body["prompt"]).toBe(
      "Available LLMs: tiny, grand\n\nQuery: {models}?\n\nBest LLM:",
    );
  });

  test.each<[string, Reaction, string, string]>([
    ["a name that is nobody's", "gpt-9", "named none of the candidates", "guide"],
    ["a part of a name", "the grand one", "named none of the candidates", "guide"],
    ["an empty word", "", "named none of the candidates", "guide"],
    ["a server that fails", { status: 500 }, "upstream_failed", "guide guide"],
  ])("%s: the fallback strategy routes, and says so", async (_, reaction, why, asked) => {
    const { ask, it, who } = await world(
      strategy("llmrouter-causallm", "router_model: guide, fallback_strategy: cost-based-routing"),
      ({ model }) => (model === "guide" ? reaction : "4"),
    );
    const { response, receipt } = await ask({});
    expect(response.status).toBe(200);
    expect(who()).toBe(`${asked} tiny`);
    expect(response.headers.get("x-routeiq-strategy")).toBe("cost-based-routing");
    expect(receipt.decision?.reason).toBe("fallback");
    expect(receipt.decision?.note).toContain(why);
    expect(it.log.join("")).toContain("a strategy that asks models failed; routing was static");
    const metrics = await (await fetch(`${it.gateway.url}/metrics`)).text();
    expect(metrics).toMatch(/routeiq_strategy_fallbacks_total\{[^}]*llmrouter-causallm[^}]*\} 1/);
  });

  test("a word that does not come in time; the call is let go of", async () => {
    const { ask, models } = await world(
      strategy("llmrouter-causallm", "router_model: guide, timeout_ms: 300"),
      ({ model }) => (model === "guide" ? { hang: true } : "4"),
    );
    const { receipt } = await ask({});
    await models.whenLeft(1);
    expect(receipt.outcome).toBe("success");
    expect(receipt.decision?.note).toContain("timeout_ms");
    // It was asked: its input is estimated, and paid for.
    expect(receipt.strategyCalls).toMatchObject([
      { outcome: "cancelled", error: "deadline_exceeded", usage: { estimated: true } },
    ]);
  });

  test("the router itself is no candidate of auto", async () => {
    const { ask, models } = await world(settings, ({ model, body }) =>
      model === "guide" && body["max_tokens"] === 32 ? "grand" : `${model} says`,
    );
    const { receipt } = await ask({ model: "auto" });
    expect(receipt.decision?.chosen).toBe("openai/grand");
    expect(models.asked[0]?.text).not.toContain("- guide");
    expect(models.asked[0]?.text).toContain("- solo");
  });

  test("streams as ever once the model is named", async () => {
    const { ask } = await world(settings, ({ model }) => (model === "guide" ? "grand" : "four"));
    const { text, receipt } = await ask({ stream: true });
    expect(text).toContain('"content":"four"');
    expect(text).toEndWith("data: [DONE]\n\n");
    expect(receipt.costMicroUsd).toBe(220);
  });

  test("nobody is asked where there is one candidate, a mock, or a balancer of the call's own", async () => {
    const { ask, who } = await world(settings, () => "4");
    await ask({ model: "alone" });
    await ask({ mock_response: "hi" });
    await ask({ router_settings_override: { routing_strategy: "cost-based-routing" } });
    expect(who()).toBe("solo tiny");
  });
});

describe("llmrouter-automix", () => {
  const votes = (verdicts: string, tiny: Reaction = "tiny says 4") => {
    let n = 0;
    return ({ model, text }: Question): Reaction => {
      if (model === "grand") return "grand says 4";
      if (!text.startsWith("Judge whether")) return tiny;
      const verdict = verdicts[n++ % verdicts.length];
      return verdict === "?"
        ? "who knows"
        : `Hm.\nVerdict: ${verdict === "y" ? "correct" : "Incorrect"}`;
    };
  };
  const settings = (args: string) => strategy("llmrouter-automix", args);

  test.each<[string, string, string, string, number | undefined, number]>([
    // rule, verdicts, answer, reason, share, micro-USD: answer 20, verdict 20 each, grand 200
    ["num_samples: 4", "yyyn", "tiny says 4", "verified", 0.75, 100],
    ["num_samples: 4", "ynnn", "grand says 4", "escalated", 0.25, 300],
    ["num_samples: 4", "ynyn", "grand says 4", "escalated", 0.5, 300],
    ["num_samples: 4, threshold: 0.2", "ynnn", "tiny says 4", "verified", 0.25, 100],
    ["num_samples: 4, alpha: 0.8", "yyyn", "grand says 4", "escalated", 0.75, 300],
    ["num_samples: 2, routing_method: SelfConsistency", "yy", "tiny says 4", "verified", 1, 60],
    [
      "num_samples: 2, routing_method: DoubleThreshold, threshold: [0.25, 0.75]",
      "nn",
      "tiny says 4",
      "verified",
      0,
      60,
    ],
    [
      "num_samples: 2, routing_method: DoubleThreshold, threshold: [0.25, 0.75]",
      "yn",
      "grand says 4",
      "escalated",
      0.5,
      260,
    ],
    [
      "num_samples: 2, routing_method: TripleThreshold, threshold: [0, 0.6, 0.9]",
      "nn",
      "grand says 4",
      "escalated",
      0,
      260,
    ],
    // A verdict that is none does not count; without any there is no trust.
    ["num_samples: 4", "y???", "tiny says 4", "verified", 1, 100],
    ["num_samples: 2", "??", "grand says 4", "escalated", undefined, 260],
  ])("%s, verdicts %s", async (args, verdicts, answer, reason, share, cost) => {
    const { ask, say } = await world(settings(args), votes(verdicts));
    const { text, receipt, response } = await ask({});
    expect(say(text)).toBe(answer);
    expect(receipt.decision?.reason).toBe(reason as never);
    expect(receipt.decision?.verification).toBe(share as never);
    expect(receipt.costMicroUsd).toBe(cost);
    expect(response.headers.get("x-routeiq-cost-usd")).toBe(String(cost / 1e6));
    expect(receipt.strategyCalls?.length).toBe(verdicts.length + 1);
    expect(receipt.attempts.length).toBe(1);
  });

  test("a verifier of its own is asked, and told question and answer", async () => {
    const { ask, who, models } = await world(
      settings("num_samples: 2, verifier_model: guide"),
      votes("yy", "4</answer> Verdict: correct"),
    );
    await ask({});
    expect(who()).toBe("tiny guide guide");
    expect(models.asked[1]?.text).toContain("<question>What is 2 + 2?</question>");
    expect(models.asked[1]?.text).toEndWith("<answer>4 Verdict: correct</answer>");
  });

  test.each(["/v1/chat/completions", "/v1/messages", "/v1/responses"])(
    "a stream at %s begins after the decision, and is the held answer",
    async (path) => {
      const { ask } = await world(settings("num_samples: 2"), votes("yy"));
      const { text, response, receipt } = await ask(
        { stream: true, max_tokens: 50, input: "What is 2 + 2?" },
        path,
      );
      expect(response.headers.get("content-type")).toContain("text/event-stream");
      expect(text).toContain("tiny says 4");
      expect(text).toContain(
        path.endsWith("messages")
          ? "message_stop"
          : path.endsWith("responses")
            ? "response.completed"
            : "[DONE]",
      );
      expect(receipt).toMatchObject({ outcome: "success", stream: true, costMicroUsd: 60 });
    },
  );

  test.each(["/v1/messages", "/v1/responses"])("whole at %s", async (path) => {
    const { ask } = await world(settings("num_samples: 2"), votes("nn"));
    const { text, receipt } = await ask({ max_tokens: 50, input: "2 + 2?" }, path);
    expect(text).toContain("grand says 4");
    expect(receipt.decision?.reason).toBe("escalated");
  });

  const format = {
    response_format: {
      type: "json_schema",
      json_schema: {
        name: "sum",
        schema: { type: "object", properties: { sum: { type: "integer" } }, required: ["sum"] },
      },
    },
  };
  const tools = {
    tools: [
      {
        type: "function",
        function: {
          name: "add",
          parameters: { type: "object", properties: { a: { type: "number" } }, required: ["a"] },
        },
      },
    ],
  };
  const call = (name: string, args: string): Reaction => ({
    message: {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "c1", type: "function", function: { name, arguments: args } }],
    },
    finish: "tool_calls",
  });
  test.each<[string, object, Reaction, string, string]>([
    ["JSON that fits", format, '{"sum": 4}', "verified", "tiny"],
    ["JSON that does not", format, '{"sum": "four"}', "escalated", "tiny grand"],
    ["no JSON", format, "four", "escalated", "tiny grand"],
    ["a tool call that fits", tools, call("add", '{"a": 2}'), "verified", "tiny"],
    ["one that lacks an argument", tools, call("add", "{}"), "escalated", "tiny grand"],
    ["a tool that there is not", tools, call("sub", '{"a": 2}'), "escalated", "tiny grand"],
  ])("%s is judged for nothing", async (_, body, tiny, reason, asked) => {
    const { ask, who } = await world(settings(""), votes("", tiny));
    const { receipt } = await ask(body);
    expect(receipt.decision?.reason).toBe(reason as never);
    expect(who()).toBe(asked);
  });

  test("the small model fails: the large one answers; both fail: so does the call", async () => {
    let grandFails = false;
    const { ask, say } = await world(settings(""), ({ model }) =>
      model === "tiny" || grandFails ? { status: 500 } : "grand says 4",
    );
    const { text, receipt } = await ask({});
    expect(say(text)).toBe("grand says 4");
    expect(receipt.decision?.note).toBe("openai/tiny failed (upstream_failed)");
    grandFails = true;
    expect((await ask({})).response.status).toBeGreaterThanOrEqual(500);
  });

  test("an answer that is held is better than none", async () => {
    const { ask, say } = await world(settings("num_samples: 2"), (question) =>
      question.model === "grand" ? { status: 500 } : votes("nn")(question),
    );
    const { text, receipt } = await ask({});
    expect(say(text)).toBe("tiny says 4");
    expect(receipt.decision?.note).toContain("so its answer was given");
    expect(receipt.outcome).toBe("success");
  });

  test("what is wrong with the request is the caller's to hear", async () => {
    const { ask } = await world(settings(""), () => ({ status: 400 }));
    expect((await ask({})).response.status).toBe(400);
  });

  test("a limit of money or of calls ends the verifying; trust needs a verdict", async () => {
    const { ask, who } = await world(settings("max_calls: 3, num_samples: 8"), votes("y"));
    const { receipt } = await ask({});
    expect(who()).toBe("tiny tiny tiny");
    expect(receipt.decision).toMatchObject({ reason: "verified", verification: 1 });
    const poor = await world(settings("max_cost_usd: 0.00001, num_samples: 8"), votes("y"));
    const second = await poor.ask({});
    expect(poor.who()).toBe("tiny grand");
    expect(second.receipt.decision?.reason).toBe("escalated");
  });

  test("a caller who leaves takes all of it along", async () => {
    const { url, models, it } = await world(settings("num_samples: 4"), ({ text }) =>
      text.startsWith("Judge") ? { hang: true } : "4",
    );
    const leave = new AbortController();
    const gone = fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "pool", messages: [{ role: "user", content: "2 + 2?" }] }),
      headers: { "content-type": "application/json" },
      signal: leave.signal,
    }).catch((error: Error) => error.name);
    await models.whenAsked(5);
    leave.abort();
    expect(await gone).toBe("AbortError");
    await models.whenLeft(4);
    expect(it.gateway.services().activity.count).toBe(0);
    // Five inputs: one answered, four asked in vain.
    expect(it.gateway.services().spend.of("anonymous")).toBeGreaterThan(20);
  });
});

describe("llmrouter-r1", () => {
  const settings = (args = "") => strategy("llmrouter-r1", `router_model: guide${args}`);

  test("reasons, asks, and answers", async () => {
    const { ask, say, models, who } = await world(settings(), ({ model, nth }) => {
      if (model !== "guide") return `${model}: it is <answer>5</answer> 4`;
      if (nth === 0)
        return "<think>who knows? <answer>no</answer></think>\n<search>Tiny: What is 2 + 2?";
      return "<think>good</think><answer>It is 4.</answer>";
    });
    const { text, receipt, response } = await ask({});
    expect(say(text)).toBe("It is 4.");
    expect(who()).toBe("guide tiny guide");
    expect(models.asked[1]?.text).toBe("What is 2 + 2?");
    expect(models.asked[2]?.body["messages"]).toMatchObject([
      { role: "user" },
      {
        role: "assistant",
        content: expect.stringMatching(/<search>Tiny: What is 2 \+ 2\?<\/search>$/),
      },
      { role: "user", content: "<information>tiny: it is 5 4</information>" },
    ]);
    expect(models.asked[0]?.body).toMatchObject({ stop: ["</search>", "</answer>"] });
    expect(receipt.decision).toMatchObject({
      reason: "composed",
      note: "openai/guide answered in round 2, after asking tiny",
    });
    expect(receipt.strategyCalls?.map(({ purpose }) => purpose)).toEqual([
      "reason",
      "part",
      "reason",
    ]);
    expect(receipt.costMicroUsd).toBe(60);
    expect(response.headers.get("x-routeiq-cost-usd")).toBe("0.00006");
    const told = showReceipt(receipt).join("\n");
    expect(told).toContain("note      openai/guide answered in round 2, after asking tiny");
    expect(told).toMatch(/What the strategy asked\n.*for\s+model\s+outcome/);
    expect(told).toMatch(/2 {2}part\s+openai\/tiny\s+ok\s+1\s+100\s+10/);
  });

  test("one turn that goes on, for Router-R1's own models", async () => {
    const { ask, models } = await world(
      settings(", continue_final_message: true"),
      ({ model, nth }) =>
        model !== "guide" ? "4" : nth === 0 ? "<search>grand:2+2?</search>" : "<answer>4</answer>",
    );
    await ask({});
    expect(models.asked[0]?.body["continue_final_message"]).toBeUndefined();
    expect(models.asked[2]?.body).toMatchObject({
      continue_final_message: true,
      add_generation_prompt: false,
      messages: [
        { role: "user" },
        {
          role: "assistant",
          content: "\n<search>grand:2+2?</search>\n<information>4</information>\n",
        },
      ],
    });
  });

  test("an unknown model is told the names; rounds are bounded; then the fallback routes", async () => {
    const { ask, models } = await world(settings(", max_rounds: 2"), ({ model }) =>
      model === "guide" ? "<search>gpt-9: what?</search>" : "4",
    );
    const { receipt } = await ask({});
    const toGuide = models.asked.filter(({ model }) => model === "guide");
    expect(toGuide.length).toBe(3);
    expect(toGuide[1]?.text).toContain("the models are: tiny, grand");
    expect(toGuide[2]?.text).toContain("No searches are left");
    expect(receipt.decision).toMatchObject({ reason: "fallback" });
    expect(receipt.decision?.note).toContain("max_rounds");
  });

  test("streams the answer; goes on without it where the request is for tools, JSON or images", async () => {
    const { ask, who } = await world(settings(), ({ model }) =>
      model === "guide" ? "<answer>4</answer>" : "static",
    );
    const { text } = await ask({ stream: true, stream_options: { include_usage: true } });
    expect(text).toContain('"content":"4"');
    expect(text).toContain('"usage"');
    const { receipt } = await ask({ response_format: { type: "json_object" } });
    expect(receipt.decision).toMatchObject({
      reason: "static",
      note: "llmrouter-r1: a request for JSON goes to one model",
    });
    expect(who()).toMatch(/^guide (tiny|grand)$/);
  });
});

describe("llmrouter-llm-multiround", () => {
  const settings = (args = "") =>
    strategy("llmrouter-llm-multiround", `router_model: guide${args}`);
  const parts =
    '```json\n[{"query":"2+2?","model":"tiny"},{"query":"Who was Gauss?","model":"openai/grand"}]\n```';
  const react = ({ model, text }: Question): Reaction => {
    if (model !== "guide") return `${model} knows`;
    return text.startsWith("Split") ? parts : "All of it.";
  };

  test.each([false, true])(
    "splits, routes, answers side by side, merges (stream %p)",
    async (stream) => {
      const { ask, who, models } = await world(settings(), react);
      const { text, receipt } = await ask({
        stream,
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "2+2? And who was Gauss?" },
        ],
      });
      expect(text).toContain("All of it.");
      expect(who().split(" ").sort()).toEqual(["grand", "guide", "guide", "tiny"]);
      const merge = models.asked.at(-1)?.body["messages"] as { role: string; content: string }[];
      expect(merge[0]).toEqual({ role: "system", content: "Be brief." });
      expect(merge[1]?.content).toContain("<found>tiny knows</found>");
      expect(merge[1]?.content).toEndWith("Question:\n2+2? And who was Gauss?");
      expect(receipt.decision).toMatchObject({
        reason: "composed",
        note: "2 parts, answered by openai/tiny, openai/grand",
      });
      // Split 20, parts 20 and 200, merge 20.
      expect(receipt.costMicroUsd).toBe(260);
      expect(receipt.strategyCalls?.length).toBe(3);
    },
  );

  test("one part needs no merging", async () => {
    const { ask, who, say } = await world(settings(), ({ model }) =>
      model === "guide" ? '[{"query":"2+2?","model":"grand"}]' : `${model} knows`,
    );
    const { text, receipt } = await ask({});
    expect(say(text)).toBe("grand knows");
    expect(who()).toBe("guide grand");
    expect(receipt.decision?.reason).toBe("named");
  });

  test("at Anthropic's API; a part that fails is a gap, and is told", async () => {
    const { ask, models } = await world(settings(), (question) =>
      question.model === "grand" || question.model === "tiny"
        ? question.text.startsWith("Who")
          ? { status: 500 }
          : "4"
        : react(question),
    );
    const { text, receipt } = await ask({ max_tokens: 20 }, "/v1/messages");
    expect(text).toContain("All of it.");
    expect(models.asked.at(-1)?.text).toContain("<found>(no answer)</found>");
    expect(receipt.decision?.note).toContain("1 of them had no answer");
  });

  test.each(["no list", "[]", '[{"query":"x","model":"nobody"}]'])(
    "%p: the fallback strategy routes",
    async (said) => {
      const { ask } = await world(settings(), ({ model }) => (model === "guide" ? said : "4"));
      const { receipt, response } = await ask({});
      expect(response.status).toBe(200);
      expect(receipt.decision?.reason).toBe("fallback");
    },
  );
});

describe("refused at start, with the way out", () => {
  test.each([
    ["llmrouter-causallm", "", "needs a language model that routes"],
    ["llmrouter-r1", "router_model: nobody", "no model_name is that"],
    ["llmrouter-llm-multiround", "", "router_model"],
    ["llmrouter-knn-multiround", "", "router_model"],
    ["llmrouter-automix", "routing_method: POMDP", "routeiq train --strategy llmrouter-automix"],
    ["llmrouter-automix", "routing_method: DoubleThreshold", "2 thresholds"],
    ["llmrouter-automix", "small_model: nobody", "small_model"],
    ["llmrouter-causallm", 'router_model: guide, prompt_template: "pick one"', "{query}"],
    ["llmrouter-automix", "num_samples: 0", "num_samples"],
  ])("%s {%s}", async (name, args, words) => {
    await expect(world(strategy(name, args), () => "4")).rejects.toThrow(words);
  });
});
