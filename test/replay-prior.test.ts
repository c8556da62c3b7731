/** Day 0 through the whole gateway: a call that the catalog's prior decided is executed again by `why`. */
import { expect, test } from "bun:test";
import { stringify } from "yaml";
import { commands } from "../src/cli/registry.ts";
import { runCommandLine } from "../src/cli/run.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway } from "./support/gateway.ts";
import { openaiReply } from "./support/upstreams.ts";

test("a decision of the prior is executed again from names and the catalog", async () => {
  const upstream = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.json(openaiReply),
  });
  const running = await startTestGateway({
    yaml: stringify({
      model_list: ["gpt-5-nano", "gpt-5-mini", "gpt-5"].map((model) => ({
        model_name: model,
        litellm_params: {
          model: `openai/${model}`,
          api_base: `${upstream.url.origin}/v1`,
          api_key: "sk-test",
        },
      })),
    }),
    outbound: createOutbound(),
  });
  try {
    const response = await fetch(`${running.gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "auto",
        messages: [{ role: "user", content: "How many primes are there below 100?" }],
      }),
    });
    await response.arrayBuffer();
    const callId = response.headers.get("x-routeiq-call-id") ?? "";
    const { events } = running.gateway;
    while (!(await events.findReceipt(callId))) await new Promise(setImmediate);
    await events.flush();
    let out = "";
    const code = await runCommandLine({
      words: ["why", callId, "--data-dir", running.dataDir, "--replay"],
      commands,
      defaultCommand: "why",
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (out += text) },
      env: {},
      signal: new AbortController().signal,
    });
    expect(out).toContain("there is no trained router yet");
    expect(out).toMatch(/Executed again with catalog-prior: the same scores for 3 candidates/);
    expect(code).toBe(0);
  } finally {
    await running.gateway.close();
    await upstream.stop(true);
  }
});
