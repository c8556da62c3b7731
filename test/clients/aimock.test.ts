/**
 * aimock as the upstream, in OpenAI's, Anthropic's and Gemini's dialects, and with its chaos: errors,
 * rate limits, malformed JSON and connections cut, at any probability.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createOutbound } from "../../src/security/outbound.ts";
import { call, type Dialect, type Ended } from "../faults/world.ts";
import { hasClient, loadClient, titleOf } from "../support/clients.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

interface Chaos {
  readonly dropRate?: number;
  readonly malformedRate?: number;
  readonly disconnectRate?: number;
  readonly rateLimitRate?: number;
  readonly latencyMs?: number;
}
interface Mock {
  readonly url: string;
  onMessage(pattern: RegExp, response: object, options?: object): Mock;
  start(): Promise<unknown>;
  stop(): Promise<unknown>;
  setChaos(chaos: Chaos): Mock;
  clearChaos(): Mock;
}
type Aimock = { readonly LLMock: new (options: object) => Mock };

const content = "Grüße aus dem Mock: 😀 and a few more words, so that it comes in pieces.";

describe.skipIf(!hasClient("@copilotkit/aimock"))(titleOf("aimock", "@copilotkit/aimock"), () => {
  let bad: Mock;
  let good: Mock;
  let gateway: TestGateway;

  const providers = [
    ["openai", "openai/gpt-4o", "/v1"],
    ["anthropic", "anthropic/claude-sonnet-4-5", ""],
    ["gemini", "gemini/gemini-2.5-flash", "/v1beta"],
  ] as const;

  beforeAll(async () => {
    const { LLMock } = await loadClient<Aimock>("@copilotkit/aimock");
    const make = async () => {
      const mock = new LLMock({ port: 0, logLevel: "silent", chunkSize: 7 });
      mock.onMessage(/hi/, { content });
      await mock.start();
      return mock;
    };
    bad = await make();
    good = await make();
    const rows = providers.flatMap(([name, model, base]) => [
      `{model_name: ${name}, litellm_params: {model: ${model}, api_key: k, order: 1, api_base: "${bad.url}${base}"}}`,
      `{model_name: ${name}, litellm_params: {model: ${model}, api_key: k, order: 2, api_base: "${good.url}${base}"}}`,
    ]);
    gateway = await startTestGateway({
      yaml: `
model_list:
  - ${rows.join("\n  - ")}
router_settings: {disable_cooldowns: true, timeout: 5}
`,
      outbound: createOutbound(),
    });
    const { services } = gateway.gateway;
    (services() as { retryBudget: unknown }).retryBudget = {
      countCall: () => undefined,
      take: () => true,
      left: 1,
    };
  });
  beforeEach(() => void bad.clearChaos());
  afterAll(async () => {
    await gateway?.gateway.close();
    await bad?.stop();
    await good?.stop();
  });

  const ask = (model: string, dialect: Dialect, stream: boolean): Promise<Ended> =>
    call(gateway, dialect, stream, {
      body: JSON.stringify({
        model,
        stream,
        max_tokens: 100,
        messages: [{ role: "user", content: "hi" }],
      }),
    });

  const chaoses: readonly (readonly [string, Chaos])[] = [
    ["none", {}],
    ["every call dropped", { dropRate: 1 }],
    ["every call rate limited", { rateLimitRate: 1 }],
    ["every answer malformed", { malformedRate: 1 }],
    ["every connection cut", { disconnectRate: 1 }],
    ["late answers", { latencyMs: 50 }],
  ];

  describe.each(providers.map(([name]) => name))("%s", (model) => {
    test.each(chaoses)("%s: the caller has an answer, or one error", async (_name, chaos) => {
      bad.setChaos(chaos);
      for (const dialect of ["chat", "messages"] as const) {
        for (const stream of [false, true]) {
          const ended = await ask(model, dialect, stream);
          const told = JSON.stringify({ dialect, stream, ...ended });
          expect(ended.status, told).toBe(200);
          expect(ended.end, told).not.toBe("broken");
          if (ended.end === "complete") expect(ended.text, told).toBe(content);
          // Only what had begun may break; a whole answer comes from the other one.
          if (!stream || chaos.disconnectRate === undefined)
            expect(ended.end, told).toBe("complete");
        }
      }
    });
  });

  test("a little of everything: 200 calls, each answered or told", async () => {
    bad.setChaos({ dropRate: 0.1, rateLimitRate: 0.1, malformedRate: 0.1, disconnectRate: 0.1 });
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        ask(providers[i % 3]?.[0] ?? "openai", i % 2 ? "chat" : "messages", i % 4 < 2),
      ),
    );
    expect(all.filter(({ end }) => end === "broken")).toEqual([]);
    expect(all.filter(({ end }) => end === "complete").length).toBeGreaterThan(160);
    expect(gateway.log.filter((line) => line.includes("failed inside"))).toEqual([]);
  });
});
