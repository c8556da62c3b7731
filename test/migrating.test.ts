/** The commands of docs/migrating.md, in their order, in one folder, on files of the kinds it names. */
import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";

const root = join(import.meta.dir, "..");
const page = readFileSync(join(root, "docs/migrating.md"), "utf8");
const fixtures = join(import.meta.dir, "fixtures/imports/2026");
const cwd = mkdtempSync(join(tmpdir(), "routeiq-migrating-"));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(
    (m) => m[1] ?? "",
  );
const commands = blocks("sh").flatMap((block) =>
  block.split("\n").filter((line) => line.startsWith("routeiq ")),
);

function layOut(): void {
  copyFileSync(join(fixtures, "knn.pkl"), join(cwd, "knn.pkl"));
  copyFileSync(join(fixtures, "mlp.pkl"), join(cwd, "mlprouter.pkl"));
  const { queries, files } = JSON.parse(readFileSync(join(fixtures, "expected.json"), "utf8"));
  const { scores, predicted } = files["knn.pkl"];
  const said = queries.map((embedding: unknown, i: number) =>
    JSON.stringify({ embedding, scores: scores[i], predicted: predicted[i] }),
  );
  writeFileSync(join(cwd, "said.jsonl"), said.join("\n"));
  const models = ["gpt-4o", "claude-haiku", "llama-3-8b", "qwen-é"];
  const rows = Array.from({ length: 240 }, (_, i) => ({
    task_name: "made-up",
    query: `question ${Math.floor(i / 4)} about ${i % 8 < 4 ? "poems" : "primes"}`,
    model_name: models[i % 4],
    performance: Number((i + Math.floor(i / 4)) % 4 === 0),
    input_tokens: 20,
    output_tokens: 60,
  }));
  writeFileSync(join(cwd, "routing.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  writeFileSync(join(cwd, "config.yaml"), toConfig());
}

/** The page's own part, and the models that it speaks of. */
function toConfig(): string {
  const own = parse(blocks("yaml")[0] ?? "") as object;
  const named = (model_name: string, mode: string) => ({
    model_name,
    litellm_params: { model: `openai/${model_name}`, api_key: "sk-x" },
    model_info: { mode },
  });
  const model_list = [named("gpt-4o", "chat"), named("minilm", "embedding")];
  return stringify({ model_list, general_settings: { master_key: "sk-master-key-123" }, ...own });
}

test("every command of the page does what it says", async () => {
  layOut();
  expect(commands.length).toBeGreaterThan(5);
  for (const command of commands) {
    const [, ...words] = command.replace(/ #.*/, "").trim().split(/\s+/);
    const child = Bun.spawn([process.execPath, join(root, "src/main.ts"), ...words], {
      cwd,
      env: { PATH: process.env["PATH"] ?? "" },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect(code, `${command}\n${stdout}\n${stderr}`).toBe(0);
    if (command.includes("--check")) expect(stdout).toContain("as predicted in 16 of 16");
  }
}, 120_000);
