/** A real language model, very small, behind the gateway: real tokens, real streams, real limits. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createOutbound } from "../../src/security/outbound.ts";
import { clientsFolder, hasClient, titleOf } from "../support/clients.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

const data =
  process.env["ROUTEIQ_TEST_DATA"] ?? join(import.meta.dir, "..", "..", "..", "shared", "data");
const model = join(data, "llm", "stories260K.gguf");
const hasModel = await Bun.file(model).exists();
const here = hasClient("node-llama-cpp") && hasModel && Bun.which("node") !== null;
const title = `${titleOf("a real model", "node-llama-cpp")}${hasModel ? "" : " (skipped: no stories260K.gguf)"}`;

describe.skipIf(!here)(title, () => {
  let child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  let gateway: TestGateway;

  beforeAll(async () => {
    const binding = join(clientsFolder, "node_modules/node-llama-cpp/dist/index.js");
    child = Bun.spawn(["node", join(import.meta.dir, "llama-server.mjs"), model, binding], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const { value } = await child.stdout.getReader().read();
    const port = Number(new TextDecoder().decode(value));
    if (!port) throw new Error(await new Response(child.stderr).text());
    gateway = await startTestGateway({
      yaml: `
model_list:
  - {model_name: tiny, litellm_params: {model: llamafile/stories260K, api_key: k, api_base: "http://127.0.0.1:${port}/v1"}}
`,
      outbound: createOutbound(),
    });
  });
  afterAll(async () => {
    await gateway?.gateway.close();
    child?.kill();
  });

  const post = (path: string, body: object) =>
    fetch(`${gateway.gateway.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tiny", max_tokens: 24, ...body }),
    });
  const messages = [{ role: "user", content: "Once upon a time" }];

  test("tells the same story whole, streamed, and in every dialect", async () => {
    const whole = await (await post("/v1/chat/completions", { messages })).json();
    const story = whole.choices[0].message.content;
    expect(story).toContain("there was a little");
    expect(whole.usage).toMatchObject({ completion_tokens: 24 });
    expect(whole.choices[0].finish_reason).toBe("length");

    const stream = await (await post("/v1/chat/completions", { messages, stream: true })).text();
    const pieces = [...stream.matchAll(/^data: (\{.*)$/gm)].map(([, text]) =>
      JSON.parse(text ?? ""),
    );
    const said = pieces.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
    expect(said).toBe(story);
    expect(pieces.length).toBeGreaterThan(20);

    const message = await (await post("/v1/messages", { messages })).json();
    expect(message).toMatchObject({ content: [{ text: story }], stop_reason: "max_tokens" });

    const response = await (
      await post("/v1/responses", { input: "Once upon a time", max_output_tokens: 24 })
    ).json();
    expect(response.output[0].content[0].text).toContain("there was a little");
  });

  test("many at once wait for their turn, and all are told the story", async () => {
    const replies = await Promise.all(
      Array.from({ length: 16 }, () => post("/v1/chat/completions", { messages })),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array(16).fill(200));
  });
});
