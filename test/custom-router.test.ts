/** Routers of the operator's own: what a module may do, what it may not, and what becomes of it. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Receipt } from "../src/domain/decision.ts";
import { createFeatureExtractor } from "../src/embedding/features.ts";
import { createStaticEmbedder } from "../src/embedding/static.ts";
import { writeDenseOnnx } from "../src/kernels/onnx-dense.ts";
import { ModuleRefused } from "../src/routing/custom/contract.ts";
import { type ModuleProcess, startModuleProcess } from "../src/routing/custom/module-process.ts";
import { assertSound, checkModule } from "../src/routing/custom/module-router.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { systemClock } from "../src/std/clock.ts";
import { startTestGateway } from "./support/gateway.ts";
import { startTalkingModels } from "./support/talking-models.ts";

const folder = mkdtempSync(join(tmpdir(), "routeiq-custom-"));
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function write(content: string | Uint8Array, suffix = "ts"): string {
  const path = join(folder, `m${++files}.${suffix}`);
  writeFileSync(path, content);
  return path;
}

const models = ["openai/tiny", "openai/grand"];
const limits = { scoreMs: 2_000, memoryMb: 512 };
const lines: string[] = [];

async function open(path: string, more: Partial<typeof limits> & { named?: string[] } = {}) {
  const { named, ...own } = more;
  const process: ModuleProcess = await startModuleProcess({
    settings: { path, models, ...(named ? { named } : {}) },
    limits: { ...limits, ...own },
    clock: systemClock,
    onLine: (line) => lines.push(line),
  });
  closers.push(() => process.kill("the test is over"));
  return process;
}

const query = {
  text: "What is 2 + 2?",
  tools: [],
  embedding: Float32Array.from({ length: 256 }, (_, n) => (n === 3 ? 1 : 0)),
};

/** A WebAssembly module by hand: constants as scores, a byte of the text as the first. */
function wasmModule(answer: number): Uint8Array {
  const leb = (value: number): number[] => {
    const bytes: number[] = [];
    for (let rest = value; ; ) {
      const byte = rest & 0x7f;
      rest >>= 7;
      const done = (rest === 0 && !(byte & 0x40)) || (rest === -1 && (byte & 0x40) !== 0);
      bytes.push(done ? byte : byte | 0x80);
      if (done) return bytes;
    }
  };
  const section = (id: number, body: number[]) => [id, body.length, ...body];
  const name = (text: string) => [text.length, ...Buffer.from(text)];
  const f32 = (value: number) => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
  const i32 = 0x7f;
  // alloc: the old top, and the top moved on by the bytes rounded up to 8.
  const alloc = [
    0,
    0x23,
    0,
    0x23,
    0,
    0x20,
    0,
    0x41,
    7,
    0x6a,
    0x41,
    ...leb(-8),
    0x71,
    0x6a,
    0x24,
    0,
    0x0b,
  ];
  // score: out[0] = text[0] / 256, out[1] = 0.5.
  const score = [
    0,
    0x20,
    4,
    0x20,
    0,
    0x2d,
    0,
    0,
    0xb2,
    ...f32(1 / 256),
    0x94,
    0x38,
    2,
    0,
    0x20,
    4,
    ...f32(0.5),
    0x38,
    2,
    4,
    0x41,
    answer,
    0x0b,
  ];
  const reset = [0, 0x41, ...leb(1024), 0x24, 0, 0x0b];
  const bodies = [alloc, score, reset].flatMap((body) => [body.length, ...body]);
  return Uint8Array.from([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, [3, 0x60, 1, i32, 1, i32, 0x60, 6, ...Array(6).fill(i32), 1, i32, 0x60, 0, 0]),
    ...section(3, [3, 0, 1, 2]),
    ...section(5, [1, 0, 1]),
    ...section(6, [1, i32, 1, 0x41, ...leb(1024), 0x0b]),
    ...section(7, [
      4,
      ...name("memory"),
      2,
      0,
      ...name("alloc"),
      0,
      0,
      ...name("score"),
      0,
      1,
      ...name("reset"),
      0,
      2,
    ]),
    ...section(10, [3, ...bodies]),
  ]);
}

/** Two outputs: the fourth number of the embedding through a sigmoid, and a half. */
function onnxModule(inputs = 256): Uint8Array {
  const weight = new Float32Array(inputs * 2);
  weight[3] = 2; // a row per output
  const layer = {
    inputs,
    outputs: 2,
    weight,
    bias: new Float32Array(2),
    activation: "sigmoid" as const,
  };
  return writeDenseOnnx({ layers: [layer] });
}

describe("what a module is", () => {
  const example =
    /```ts\n([\s\S]*?)```/.exec(readFileSync("docs/custom-routers.md", "utf8"))?.[1] ?? "";

  test("the example of the docs keeps the contract", async () => {
    const module = await open(write(example));
    expect(module.models).toEqual(["openai/gpt-4o-mini", "openai/gpt-4o"]);
    const extractor = createFeatureExtractor(await createStaticEmbedder());
    const checked = await checkModule(module, extractor, systemClock.monotonicUs);
    assertSound(checked);
    expect(checked.length).toBe(9);
    const code = checked.find((one) => one.query.startsWith("def fib"))?.scores;
    expect(code?.[0]).toBeCloseTo(0.28, 5);
  });

  test.each<[string, string, string, number[]]>([
    [
      "TypeScript",
      "ts",
      "export const score = ({ text }: { text: string }): number[] => [text.length / 100, 0.5];",
      [0.14, 0.5],
    ],
    [
      "JavaScript, by its default",
      "mjs",
      "export default { score: async () => ({ 'openai/grand': 1, 'openai/tiny': 0 }) };",
      [0, 1],
    ],
    [
      "typed arrays, the models by init",
      "js",
      "let n; export function init({ models }) { n = models.length; } export const score = () => new Float32Array(n).fill(0.25);",
      [0.25, 0.25],
    ],
    [
      "the embedding",
      "ts",
      "export const score = (q: { embedding: Float32Array }) => [q.embedding[3], q.embedding.length / 1024];",
      [1, 0.25],
    ],
  ])("%s", async (_, suffix, source, wanted) => {
    const module = await open(write(source, suffix));
    const scores = await module.score(query);
    for (const [n, value] of wanted.entries()) expect(scores[n]).toBeCloseTo(value, 5);
  });

  test("WebAssembly, with nothing to import", async () => {
    const module = await open(write(wasmModule(0), "wasm"));
    const scores = await module.score(query);
    expect(scores[0]).toBeCloseTo("W".charCodeAt(0) / 256, 5);
    expect(scores[1]).toBe(0.5);
    const failing = await open(write(wasmModule(7), "wasm"));
    await expect(failing.score(query)).rejects.toThrow("answered 7");
  });

  test("ONNX", async () => {
    const module = await open(write(onnxModule(), "onnx"), { scoreMs: 30_000 });
    const scores = await module.score(query);
    expect(scores[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 4);
    expect(scores[1]).toBeCloseTo(0.5, 5);
  }, 60_000);

  test("it has none of the gateway's environment", async () => {
    process.env["ROUTEIQ_TEST_SECRET"] = "hush";
    const source =
      "export const score = () => [Object.keys(process.env).some((n) => n.includes('SECRET')) ? 1 : 0, 0];";
    const module = await open(write(source));
    expect(Array.from(await module.score(query))).toEqual([0, 0]);
    delete process.env["ROUTEIQ_TEST_SECRET"];
  });
});

describe("what breaks the contract is refused, in words", () => {
  test.each<[string, string, string]>([
    ["no score", "export const models = ['a'];", "no function score"],
    ["no program", "export const score = (;", "cannot be loaded"],
    [
      "a missing import",
      "import './nowhere.ts'; export const score = () => [1, 1];",
      "cannot be loaded",
    ],
    [
      "models that are no names",
      "export const models = 'a'; export const score = () => [1];",
      "no list of names",
    ],
    [
      "init that throws",
      "export const init = () => { throw new Error('no key'); }; export const score = () => [1, 1];",
      "no key",
    ],
  ])("%s", async (_, source, words) => {
    await expect(open(write(source))).rejects.toThrow(words);
  });

  test.each<[string, string, string]>([
    ["too few", "[1]", "1 scores for 2 models"],
    ["out of range", "[1.5, 0]", "the score 1.5 for openai/tiny"],
    ["not a number", "[NaN, 0]", "NaN"],
    ["one left out", "({ 'openai/tiny': 1 })", "no score for openai/grand"],
    ["nothing", "undefined", "neither a list"],
  ])("scores: %s", async (_, value, words) => {
    const module = await open(write(`export const score = () => (${value});`));
    await expect(module.score(query)).rejects.toThrow(words);
    await expect(module.score(query)).rejects.toBeInstanceOf(ModuleRefused);
  });

  test("chance is no judgement", async () => {
    const module = await open(write("export const score = () => [Math.random(), 0];"));
    const extractor = createFeatureExtractor(await createStaticEmbedder());
    const checked = await checkModule(module, extractor, systemClock.monotonicUs);
    expect(() => assertSound(checked)).toThrow("scores the same query differently");
  });

  test("an ONNX model of another width", async () => {
    const module = await open(write(onnxModule(8), "onnx"), { scoreMs: 30_000 });
    await expect(module.score(query)).rejects.toThrow();
  }, 60_000);
});

describe("limits", () => {
  test("an endless loop is ended; the next in line do not wait for it", async () => {
    const source =
      "export const score = ({ text }) => { if (text === 'loop') for (;;); return [1, 0]; };";
    const module = await open(write(source, "js"), { scoreMs: 200 });
    await module.score(query);
    await expect(module.score({ ...query, text: "loop" })).rejects.toThrow("within 200 ms");
    await expect(module.score(query)).rejects.toThrow("takes too long");
    expect(await module.ended).toContain("within 200 ms");
  });

  test("one slow query is late, and no more", async () => {
    const source =
      "export const score = async ({ text }) => { if (text === 'slow') await new Promise((r) => setTimeout(r, 400)); return [1, 0]; };";
    const module = await open(write(source, "js"), { scoreMs: 200 });
    await expect(module.score({ ...query, text: "slow" })).rejects.toThrow("within 200 ms");
    let scores: Float32Array | undefined;
    while (!scores)
      scores = await module.score(query).catch(() => Bun.sleep(20).then(() => undefined));
    expect(Array.from(scores)).toEqual([1, 0]);
  });

  test("memory without end is ended", async () => {
    const source =
      "const kept = []; export const score = () => { for (let i = 0; i < 400; i++) kept.push(new Uint8Array(1e6).fill(1)); return [1, 0]; };";
    const module = await open(write(source, "js"), { scoreMs: 20_000, memoryMb: 150 });
    await module.score(query).catch(() => undefined);
    expect(await module.ended).toContain("module_memory_mb: 150");
  });

  test.each(["process.exit(3)", "process.kill(process.pid, 'SIGSEGV')"])(
    "%s ends nobody else",
    async (act) => {
      const module = await open(
        write(`export const score = () => { ${act}; return [1, 0]; };`, "js"),
      );
      await expect(module.score(query)).rejects.toThrow("its process ended");
      expect(await module.ended).toContain("its process ended");
    },
  );

  test.skipIf(process.platform !== "linux")(
    "a loop does not outlive a gateway that was killed",
    async () => {
      const path = write("export const score = () => { for (;;); };", "js");
      const source = `
      const { startModuleProcess } = await import(${JSON.stringify(join(import.meta.dir, "../src/routing/custom/module-process.ts"))});
      const { systemClock } = await import(${JSON.stringify(join(import.meta.dir, "../src/std/clock.ts"))});
      const module = await startModuleProcess({ settings: { path: ${JSON.stringify(path)}, models: ["a"] }, limits: { scoreMs: 60000, memoryMb: 512 }, clock: systemClock });
      module.score({ text: "", tools: [], embedding: new Float32Array(1) }).catch(() => undefined);
      console.log(module.pid);
      setInterval(() => undefined, 1000);`;
      const parent = Bun.spawn([process.execPath, write(source, "mjs")], { stdout: "pipe" });
      const { value } = await parent.stdout.getReader().read();
      const pid = Number(new TextDecoder().decode(value));
      expect(pid).toBeGreaterThan(0);
      parent.kill("SIGKILL");
      await parent.exited;
      // A zombie that nobody reaps has ended as well.
      const lives = () => {
        try {
          return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
        } catch {
          return false;
        }
      };
      while (lives()) await Bun.sleep(10);
    },
  );

  test("what it writes is passed on, so much and no more", async () => {
    lines.length = 0;
    const module = await open(
      write(
        "export const score = () => { console.error('x'.repeat(9000) + '\\n!'.repeat(99)); return [1, 0]; };",
        "js",
      ),
    );
    for (let n = 0; n < 3; n++) await module.score(query);
    module.kill("done");
    await module.ended;
    expect(lines.length).toBeLessThanOrEqual(50);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(500);
  });
});

describe("in a gateway", () => {
  async function world(path: string, more = "") {
    const talking = startTalkingModels(({ model }) => `${model} says`);
    closers.push(talking.stop);
    const yaml = (args: string) => `
model_list:
  - {model_name: pool, litellm_params: {model: openai/tiny, api_base: "${talking.url}", api_key: k, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001}}
  - {model_name: pool, litellm_params: {model: openai/grand, api_base: "${talking.url}", api_key: k, input_cost_per_token: 0.00001, output_cost_per_token: 0.00001}}
router_settings:
  routing_strategy: llmrouter-custom
  routing_strategy_args: {module_timeout_ms: 2000${args}}
`;
    const it = await startTestGateway({
      yaml: yaml(`, module_path: "${path}"${more}`),
      outbound: createOutbound(),
    });
    closers.push(it.gateway.close);
    const { url } = it.gateway;
    async function ask(text: string, headers: Record<string, string> = {}) {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ model: "pool", messages: [{ role: "user", content: text }] }),
      });
      const id = response.headers.get("x-routeiq-call-id") ?? "";
      const found = await fetch(`${url}/v1/routing/decisions/${id}`);
      return { response, receipt: (await found.json()) as Receipt };
    }
    const ready = async () =>
      (await fetch(`${url}/_health/ready`)).json() as Promise<Record<string, never>>;
    return { it, url, ask, ready, yaml };
  }
  const byLength =
    "export const score = ({ text }) => { if (text === 'loop') for (;;); return text.length > 20 ? [0.2, 0.9] : [0.8, 0.7]; };";

  test("its scores decide; the dial may have its say; the receipt tells them", async () => {
    const { ask, ready } = await world(write(byLength, "js"));
    expect((await ready())["status"] as unknown).toBe("ready");
    const short = await ask("2 + 2?");
    expect(short.response.headers.get("x-routeiq-model")).toBe("openai/tiny");
    expect(short.response.headers.get("x-routeiq-strategy")).toBe("llmrouter-custom");
    expect(short.response.headers.get("x-routeiq-artifact")).toMatch(/^m\d+\.js@0$/);
    const { response, receipt } = await ask("Prove that there are infinitely many primes.");
    expect(response.headers.get("x-routeiq-model")).toBe("openai/grand");
    expect(receipt.decision?.candidates).toMatchObject([
      { model: "openai/grand", quality: expect.closeTo(0.9, 5), probability: 1 },
      { model: "openai/tiny", quality: expect.closeTo(0.2, 5), probability: 0 },
    ]);
    const cheap = await ask("Prove that there are infinitely many primes.", {
      "x-routeiq-tradeoff": "0",
    });
    expect(cheap.response.headers.get("x-routeiq-model")).toBe("openai/tiny");
  });

  test("it hangs: calls go on by the fallback, readiness says so, and it comes back", async () => {
    const { ask, ready, it } = await world(
      write(byLength, "js"),
      ", fallback_strategy: cost-based-routing",
    );
    const { response, receipt } = await ask("loop");
    expect(response.status).toBe(200);
    expect(response.headers.get("x-routeiq-strategy")).toBe("cost-based-routing");
    expect(receipt.decision?.reason).toBe("fallback");
    let seen: Record<string, unknown> = {};
    while (seen["is_degraded"] !== true) seen = await ready();
    expect(seen["checks"]).toMatchObject({ artifact: { status: "refused", code: "module" } });
    expect(JSON.stringify(seen)).not.toContain(folder);
    while (seen["is_degraded"] === true) seen = await ready();
    expect((await ask("2 + 2?")).response.headers.get("x-routeiq-strategy")).toBe(
      "llmrouter-custom",
    );
    expect(it.log.join("")).toContain("the router module is not running; routing is static");
  }, 30_000);

  test("a reload takes a new file over, and refuses a bad one", async () => {
    const path = write("export const score = () => [1, 0];", "js");
    const { ask, url } = await world(path);
    const reload = () => fetch(`${url}/llmrouter/reload`, { method: "POST" });
    expect((await ask("x")).response.headers.get("x-routeiq-model")).toBe("openai/tiny");
    writeFileSync(path, "export const score = () => [0, 1];");
    expect((await reload()).status).toBe(200);
    expect((await ask("x")).response.headers.get("x-routeiq-model")).toBe("openai/grand");
    writeFileSync(path, "export const score = () => [9, 9];");
    expect((await reload()).ok).toBe(false);
    expect((await ask("x")).response.headers.get("x-routeiq-model")).toBe("openai/grand");
  });

  test.each<[string, string]>([
    ["/nowhere/router.py", "Python is not run"],
    ["https://example.org/router.ts", "A module is never fetched"],
  ])("%s is refused at start", async (path, words) => {
    await expect(world(path)).rejects.toThrow(words);
  });

  test("so is a module that breaks the contract", async () => {
    await expect(world(write("export const score = () => [2, 2];", "js"))).rejects.toThrow(
      "a score is a number from 0 to 1",
    );
  });
});
