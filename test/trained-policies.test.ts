/** The trained halves of strategies that ask models: from data or the event log, to a serving gateway. */
import { afterAll, afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Receipt } from "../src/domain/decision.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { createRandom } from "../src/std/random.ts";
import { startTestGateway } from "./support/gateway.ts";
import { makeRows, toLine } from "./support/routing-data.ts";
import { type Question, type Reaction, startTalkingModels } from "./support/talking-models.ts";

const folder = mkdtempSync(join(tmpdir(), "routeiq-trained-policies-"));
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function train(...words: string[]) {
  const main = join(import.meta.dir, "../src/main.ts");
  const child = Bun.spawn([process.execPath, main, "train", "--json", ...words], {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exit: await child.exited, out, error };
}

async function serve(settings: string, react: (question: Question) => Reaction) {
  const talking = startTalkingModels(react);
  closers.push(talking.stop);
  const row = (group: string, model: string, usd: number) =>
    `  - {model_name: ${group}, litellm_params: {model: openai/${model}, api_base: "${talking.url}", api_key: k, input_cost_per_token: ${usd}, output_cost_per_token: ${usd}}}\n`;
  const it = await startTestGateway({
    yaml: `model_list:\n${row("pool", "tiny", 1e-7)}${row("pool", "grand", 1e-6)}${row("guide", "guide", 1e-7)}router_settings:\n${settings}`,
    outbound: createOutbound(),
  });
  closers.push(it.gateway.close);
  await it.gateway.reloadRouter(); // a local folder is loaded beside the start
  const { url } = it.gateway;
  const post = (path: string, body: object) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  async function ask(text: string) {
    const messages = [{ role: "user", content: text }];
    const response = await post("/v1/chat/completions", { model: "pool", messages });
    await response.arrayBuffer();
    const id = response.headers.get("x-routeiq-call-id") ?? "";
    const found = await fetch(`${url}/v1/routing/decisions/${id}`);
    return { id, receipt: (await found.json()) as Receipt };
  }
  return { it, ask, post, talking };
}

const strategy = (name: string, out: string, args: string) =>
  `  routing_strategy: ${name}\n  routing_strategy_args: {model_path: "${join(folder, out)}", allow_unsigned_local: true, ${args}}\n`;

test("llmrouter-knn-multiround: each part goes where its neighbours went well", async () => {
  const lines = makeRows(400, 5).map((row) => {
    const outcome = (kind: string, costUsd: number) => {
      return { score: row.category === kind ? 1 : 0, costUsd, outputTokens: 250 };
    };
    const outcomes = new Map([
      ["tiny", outcome("poetry", 0.00003)],
      ["grand", outcome("maths", 0.0003)],
    ]);
    return toLine({ ...row, outcomes });
  });
  writeFileSync(join(folder, "knn.jsonl"), lines.join("\n"));
  const trained = await train(
    "--data",
    "knn.jsonl",
    "--strategy",
    "llmrouter-knn-multiround",
    "--out",
    "knn",
  );
  expect({ exit: trained.exit, error: trained.error }).toMatchObject({ exit: 0 });

  const parts = JSON.stringify([
    "5/1 please sonnet about moon and rhyme 12 verse",
    "5/2 please integral about prime and sum 12 matrix",
  ]);
  const { ask, talking } = await serve(
    strategy("llmrouter-knn-multiround", "knn", "router_model: guide, tradeoff: 1"),
    ({ model, text }) =>
      model !== "guide" ? `${model} did it` : text.startsWith("Split") ? parts : "Both.",
  );
  const { receipt } = await ask("A sonnet, and an integral.");
  expect(receipt.decision).toMatchObject({
    strategy: "llmrouter-knn-multiround",
    reason: "composed",
    note: "2 parts, answered by openai/tiny, openai/grand",
  });
  expect(receipt.decision?.artifact).not.toBe("none");
  expect(talking.asked.find(({ text }) => text.startsWith("5/1"))?.model).toBe("tiny");
  expect(receipt.strategyCalls?.map(({ purpose }) => purpose).sort()).toEqual([
    "part",
    "part",
    "split",
  ]);
}, 60_000);

test("llmrouter-knn-multiround without a router in force routes statically, and says so", async () => {
  const { ask } = await serve(
    "  routing_strategy: llmrouter-knn-multiround\n  routing_strategy_args: {router_model: guide}\n",
    ({ model }) => `${model} says`,
  );
  const { receipt } = await ask("hello");
  expect(receipt.decision).toMatchObject({
    reason: "fallback",
    note: "llmrouter-knn-multiround: no trained router is in force",
  });
}, 60_000);

/** Verdicts by the words of the question: "easy" ones are seldom wrong, and the verifier knows. */
function cascade({ model, text }: Question, verdicts: (question: string) => string): Reaction {
  if (model === "grand") return "grand says";
  if (!text.startsWith("Judge")) return "tiny says";
  const asked = text.slice(text.lastIndexOf("<question>"));
  return `Verdict: ${verdicts(asked)}`;
}

test("llmrouter-automix: the rule is fitted to verification scores, and serves", async () => {
  const random = createRandom(3);
  const lines = Array.from({ length: 400 }, (_, n) => {
    const right = random.next() < 0.5;
    let votes = 0;
    for (let i = 0; i < 8; i++) if (random.next() < (right ? 0.8 : 0.15)) votes++;
    const tiny = { score: right ? 1 : 0, verification: votes / 8, cost_usd: 0.001 };
    const models = { tiny, grand: { score: random.next() < 0.95 ? 1 : 0, cost_usd: 0.05 } };
    return JSON.stringify({ id: `${n}`, query: `question number ${n} on ${n * 13}`, models });
  });
  writeFileSync(join(folder, "mix.jsonl"), lines.join("\n"));
  const priced = { tiny: { input_usd_per_mtok: 1 }, grand: { input_usd_per_mtok: 50 } };
  writeFileSync(join(folder, "models.json"), JSON.stringify(priced));
  const trained = await train(
    "--data",
    "mix.jsonl",
    "--strategy",
    "llmrouter-automix",
    "--out",
    "mix",
  );
  expect({ exit: trained.exit, error: trained.error }).toMatchObject({ exit: 0 });
  expect(trained.out).toMatch(/gate/i); // what it gained, and so whether it may be published

  const { ask } = await serve(
    strategy("llmrouter-automix", "mix", "routing_method: POMDP, num_samples: 4"),
    (question) => cascade(question, (asked) => (asked.includes("easy") ? "correct" : "incorrect")),
  );
  const easy = await ask("An easy one?");
  expect(easy.receipt.decision).toMatchObject({
    reason: "verified",
    verification: 1,
    chosen: "openai/tiny",
  });
  expect(easy.receipt.decision?.note).toContain("(POMDP)");
  expect(easy.receipt.decision?.artifact).not.toBe("none");
  const hard = await ask("A hard one?");
  expect(hard.receipt.decision).toMatchObject({
    reason: "escalated",
    verification: 0,
    chosen: "openai/grand",
  });

  const bare = await train(
    "--data",
    "knn.jsonl",
    "--strategy",
    "llmrouter-automix",
    "--out",
    "none",
  );
  expect(bare.exit).toBe(1);
  expect(bare.error + bare.out).toContain("verification");
}, 60_000);

test("llmrouter-automix learns from the events of a gateway that ran it with a threshold", async () => {
  const { ask, post, it } = await serve(
    "  routing_strategy: llmrouter-automix\n  routing_strategy_args: {num_samples: 2, threshold: 0.4}\n",
    (question) => cascade(question, (asked) => (/[02468]\?/.test(asked) ? "correct" : "incorrect")),
  );
  for (let n = 0; n < 40; n++) {
    const { id, receipt } = await ask(`Is this number ${n}?`);
    // What was verified is right nine times in ten, what was escalated always.
    const score = receipt.decision?.reason === "verified" && n % 20 === 0 ? 0 : 1;
    expect((await post("/v1/feedback", { call_id: id, score })).status).toBe(202);
  }
  await it.gateway.events.flush();
  const args = ["--option", "small_model=openai/tiny", "--option", "large_model=openai/grand"];
  const trained = await train(
    ...["--events", it.dataDir, "--strategy", "llmrouter-automix", "--out", "logged", ...args],
  );
  expect({ exit: trained.exit, error: trained.error }).toMatchObject({ exit: 0 });
  const { learned } = await Bun.file(join(folder, "logged", "router.json")).json();
  expect(learned).toMatchObject({ small: "openai/tiny", large: "openai/grand", rows: 40 });
}, 60_000);
