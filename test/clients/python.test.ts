/** The official Python SDKs: python_sdks.py does what their users do, and tells what it found. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type ClientWorld, createClientWorld, pythonFolder } from "../support/clients.ts";

const python = Bun.which("python3");
const here = python !== null && existsSync(join(pythonFolder, "openai"));
const title = `the Python SDKs${here ? "" : " (skipped: no Python, or no pip to install them)"}`;

describe.skipIf(!here)(title, () => {
  let world: ClientWorld;
  let found: Readonly<Record<string, unknown>> = {};

  beforeAll(async () => {
    world = await createClientWorld();
    const child = Bun.spawn([python ?? "", join(import.meta.dir, "python_sdks.py"), world.url], {
      env: { PYTHONPATH: pythonFolder, PATH: process.env["PATH"] ?? "" },
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (!out.startsWith("{")) throw new Error(err);
    found = JSON.parse(out);
  });
  afterAll(() => world.close());

  const answer = (model: string) => expect.stringContaining(`[Simulated answer by ${model}`);
  const tool = ["get_weather", { city: "Bergen" }, true];

  test.each(["sim-coder", "sim-lyra"])("%s", (model) => {
    const of = (step: string) => found[`${step} ${model}`];
    expect({
      chat: of("chat"),
      chatStream: of("chat stream"),
      chatTools: of("chat tools"),
      responses: of("responses"),
      responsesStream: of("responses stream"),
      messages: of("messages"),
      messagesStream: of("messages stream"),
      messagesTools: of("messages tools"),
      count: of("count"),
    }).toEqual({
      chat: [answer(model), true],
      chatStream: [answer(model), true],
      chatTools: tool,
      responses: [answer(model), "completed", true],
      responsesStream: [answer(model), "completed"],
      messages: [answer(model), true],
      messagesStream: [answer(model), "end_turn"],
      messagesTools: tool,
      count: true,
    });
  });

  test("embeddings, models and errors", () => {
    expect(found["embeddings"]).toEqual([2, true]);
    expect(found["models"]).toBe(true);
    expect(found["an unknown model, OpenAI"]).toEqual([400, true]);
    expect(found["an unknown model, Anthropic"]).toEqual([404, "error"]);
  });
});
