/** A router of the operator's own in the compiled binary: TypeScript from disk, checked and served. */
import { afterAll, expect, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createFolder, runBinary, startGateway } from "../support/binary.ts";

const folder = createFolder();
afterAll(() => folder.remove());

const docs = readFileSync(join(import.meta.dir, "../../docs/custom-routers.md"), "utf8");
const example = /```ts\n([\s\S]*?)```/.exec(docs)?.[1] ?? "";

function write(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  chmodSync(path, 0o644);
  return path;
}
const good = write("my-router.ts", example);
const bad = write("bad.ts", "export const score = (): number[] => [2, 0];");
const hung = write("hung.ts", "export const score = (): number[] => { for (;;); };");

test("models check-custom says what it answers, and what fails", async () => {
  const run = (...words: string[]) =>
    runBinary(["models", "check-custom", ...words], { cwd: folder.path });
  const fine = await run(good, "--json");
  expect({ exit: fine.exitCode, error: fine.stderr }).toEqual({ exit: 0, error: "" });
  expect(JSON.parse(fine.stdout)).toMatchObject({
    ok: true,
    models: ["openai/gpt-4o-mini", "openai/gpt-4o"],
  });
  const wrong = await run(bad);
  expect(wrong.exitCode).toBe(1);
  expect(wrong.stdout).toContain("the score 2 for a; a score is a number from 0 to 1");
  const late = await run(hung, "--timeout-ms", "50");
  expect(late.exitCode).toBe(1);
  expect(late.stdout).toContain("it did not answer within 50 ms");
  expect((await run("nowhere.ts")).exitCode).toBe(2);
}, 60_000);

test("it serves, and a module that hangs takes nothing along", async () => {
  const loop = write(
    "loop.ts",
    "export const score = ({ text }: { text: string }): number[] => { if (text === 'loop') for (;;); return [0, 1]; };",
  );
  const model = (name: string) => ({
    model_name: "pool",
    litellm_params: { model: `openai/${name}`, api_key: "k", mock_response: `${name} says` },
  });
  const gateway = await startGateway({
    cwd: folder.path,
    config: {
      model_list: [model("tiny"), model("grand")],
      router_settings: {
        routing_strategy: "llmrouter-custom",
        routing_strategy_args: { module_path: loop, module_timeout_ms: 500 },
      },
    },
  });
  const ask = (text: string) =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "pool", messages: [{ role: "user", content: text }] }),
    });
  const first = await ask("hello");
  expect(first.headers.get("x-routeiq-model")).toBe("openai/grand");
  expect(first.headers.get("x-routeiq-artifact")).toBe("loop.ts@0");
  const looped = await ask("loop");
  expect(looped.status).toBe(200);
  expect(looped.headers.get("x-routeiq-strategy")).toBe("simple-shuffle");
  let strategy: string | null = null;
  while (strategy !== "llmrouter-custom") {
    strategy = (await ask("hello")).headers.get("x-routeiq-strategy");
  }
  expect(await gateway.stop()).toBe(0);
}, 60_000);
