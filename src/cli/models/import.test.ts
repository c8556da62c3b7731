/** `models import` as a person uses it: what it writes, what it says, what it refuses. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readArtifactFolder } from "../../learning/artifacts/folder.ts";
import { commands } from "../registry.ts";
import { runCommandLine } from "../run.ts";

const fixtures = join(import.meta.dir, "../../../test/fixtures/imports/2026");
const temp = mkdtempSync(join(tmpdir(), "routeiq-import-"));
afterAll(() => rmSync(temp, { recursive: true, force: true }));

async function run(...words: readonly string[]) {
  const said = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write(chunk: string) {
      said[name] += chunk;
    },
  });
  const code = await runCommandLine({
    words: ["models", "import", ...words],
    commands,
    defaultCommand: "version",
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    env: {},
    signal: new AbortController().signal,
  });
  return { code, ...said };
}

const file = (name: string) => join(fixtures, name);
const model = ["--embedder", "model:minilm", "--raw"];

test("a folder as train writes it, with the original's labels and the embedder's name", async () => {
  const out = join(temp, "knn");
  const { code, stdout } = await run(file("knn.pkl"), ...model, "--out", out, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    ok: true,
    strategy: "imported-knn",
    origin: "KNeighborsClassifier",
    inputs: 12,
    labels: ["claude-haiku", "gpt-4o", "llama-3-8b", "qwen-é"],
    trusted: "unsigned",
  });
  const { release, files } = await readArtifactFolder(out);
  expect([...files.keys()]).toContain("weights.safetensors");
  expect(JSON.stringify(release["provenance"])).toContain("KNeighborsClassifier");
  const bytes = readFileSync(join(out, "release.json"));
  await run(file("knn.pkl"), ...model, "--out", out);
  expect(readFileSync(join(out, "release.json")).equals(bytes)).toBe(true); // the same every time
});

test("several files, a folder each", async () => {
  const out = join(temp, "several");
  const { code } = await run(file("knn.pkl"), file("svc-rbf.pkl"), ...model, "--out", out);
  expect(code).toBe(0);
  expect(readdirSync(out).sort()).toEqual(["knn", "svc-rbf"]);
});

test("ratings need no embedder, and a router without one is told so", async () => {
  expect(await run(file("elo-4.pkl"), "--out", join(temp, "elo"))).toMatchObject({
    code: 0,
    stderr: "",
  });
  const { code, stderr } = await run(file("knn.pkl"), "--out", join(temp, "unnamed"));
  expect(code).toBe(0);
  expect(stderr).toContain("serves nowhere until you import it with --embedder");
});

const said = JSON.parse(readFileSync(join(fixtures, "expected.json"), "utf8")) as {
  queries: number[][];
  files: Record<string, { scores: unknown[]; predicted: string[] | null }>;
};

/** The lines that --check reads. */
function writeSaid(name: string, change = 0): string {
  const { scores = [], predicted = null } = said.files[name] ?? {};
  const rows = said.queries.map((embedding, i) => {
    const score = scores[i];
    const first = Array.isArray(score) ? [score[0] + change, ...score.slice(1)] : score;
    return JSON.stringify({ embedding, scores: first, predicted: predicted?.[i] });
  });
  const path = join(temp, `${name}.jsonl`);
  writeFileSync(path, rows.join("\n"));
  return path;
}

test.each([
  "knn.pkl",
  "svc-rbf.pkl",
  "svc-votes.pkl",
  "linear-svc-two.pkl",
  "linear-svc.pkl",
  "mlp-two.pkl",
  "hybrid.pkl",
])("%s says what the original said", async (name) => {
  const labels = name === "hybrid.pkl" ? ["--labels", "small,large"] : [];
  const words = [file(name), ...labels, "--check", writeSaid(name), "--out", join(temp, "checked")];
  const { code, stdout } = await run(...words, ...model);
  expect(stdout).toContain("16 rows, scores differ by at most");
  expect(code).toBe(0);
  if (!/svc-rbf|hybrid/.test(name)) expect(stdout).toContain("as predicted in 16 of 16");
});

test("an import that says something else is not written", async () => {
  const out = join(temp, "otherwise");
  const words = [file("knn.pkl"), ...model, "--check", writeSaid("knn.pkl", 0.001), "--out", out];
  const { code, stderr } = await run(...words);
  expect(code).toBe(1);
  expect(stderr).toContain("1.0e-3");
  expect(existsSync(out)).toBe(false);
});

const evil = join(temp, "evil.pkl");
writeFileSync(evil, "cos\nsystem\n(S'touch /tmp/routeiq-was-here'\ntR.");

test.each([
  ["a pickle that runs something", [evil], 1, "os.system"],
  ["a file that is not there", [join(temp, "no.pkl")], 1, "does not exist"],
  ["a folder", [temp], 1, "is no file"],
  ["Torch without names", [file("mlp.pt")], 1, "--labels"],
  ["too few names", [file("mlp.pt"), "--labels", "a,b"], 1, "4 outputs"],
  ["an unknown activation", [file("mlp.pt"), "--activation", "gelu"], 2, "identity, relu"],
  ["a threshold beyond 1", [file("hybrid.pkl"), "--threshold", "7"], 2, "from 0 to 1"],
  ["a regression without names", [file("hybrid.pkl")], 1, "SMALL,LARGE"],
  ["an embedder of another length", [file("knn.pkl"), "--embedder", "static"], 1, "gives 128"],
  [
    "a manifest that is not there",
    [file("knn.pkl"), "--manifest", join(temp, "m.json")],
    1,
    "m.json",
  ],
])("%s is refused", async (_name, words, code, why) => {
  const got = await run(...words, "--out", join(temp, "refused"));
  expect(got.code).toBe(code);
  expect(got.stderr + got.stdout).toContain(why);
});

test("--out is needed", async () => {
  expect(await run(file("knn.pkl"))).toMatchObject({ code: 2 });
});
