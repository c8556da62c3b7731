/**
 * 1,000 pages on their way into a vector store, and a gateway that is killed again and again: what
 * lies there at the end is what an undisturbed store has, each passage once.
 */
import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom, nextInt } from "../src/std/random.ts";
import { vectorFileName } from "../src/storage/vectors.ts";

const files = 100;
const pagesPerFile = 10;
/** Killed as soon as so many files have come in: at the start, between, near the end. */
const killAfter = [1, 45, 90];

const children: ReturnType<typeof startChild>[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function startChild(dataDir: string) {
  return Bun.spawn(
    [process.execPath, join(import.meta.dir, "support", "ingest-child.ts"), dataDir],
    { stdout: "pipe", stderr: "inherit", stdin: "ignore" },
  );
}

/** A gateway on the folder, once it answers. */
async function startGateway(dataDir: string) {
  const child = startChild(dataDir);
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  const url = new TextDecoder().decode(value).trim();
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${url}/v1${path}`, init);
    return (await response.json()) as ReturnType<typeof JSON.parse>;
  };
  const post = (path: string, body: object) =>
    ask(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  return { child, ask, post };
}

type Running = Awaited<ReturnType<typeof startGateway>>;

/** Some 400 words a page, no page like another. */
function writeFile(n: number): string {
  const random = createRandom(n + 1);
  const word = () => nextInt(random, 1_679_616).toString(36);
  const page = (p: number) =>
    `Page ${p} of file ${n}\n\n${Array.from({ length: 400 }, word).join(" ")}.`;
  return Array.from({ length: pagesPerFile }, (_, p) => page(p)).join("\n\n");
}

async function upload({ ask }: Running): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let n = 0; n < files; n++) {
    const body = new FormData();
    body.set("purpose", "assistants");
    body.set("file", new File([writeFile(n)], `file-${n}.txt`));
    ids.push((await ask("/files", { method: "POST", body })).id);
  }
  return ids;
}

/** Resolves once so many files are in the store. */
async function waitFor(count: number, store: string, { ask }: Running): Promise<void> {
  for (;;) {
    const { file_counts: counts } = await ask(`/vector_stores/${store}`);
    expect(counts.failed).toBe(0);
    if (counts.completed >= count) return;
    await Bun.sleep(30);
  }
}

function passagesOf(store: string, dataDir: string): readonly string[] {
  const db = new Database(join(dataDir, vectorFileName), { readonly: true });
  const sql =
    "SELECT d.id, p.number, p.text FROM passages p JOIN documents d ON d.number = p.document WHERE p.collection = ?";
  const rows = db.query<{ id: string; number: number; text: string }, [string]>(sql).all(store);
  const orphans =
    "SELECT count(*) AS n FROM passages WHERE document NOT IN (SELECT number FROM documents)";
  expect(db.query<{ n: number }, []>(orphans).get()?.n).toBe(0);
  db.close();
  return rows.map(({ id, number, text }) => `${id} ${number} ${text}`).sort();
}

test("killed at the start, between and near the end, nothing is lost and nothing is there twice", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "routeiq-ingest-"));
  folders.push(dataDir);
  let running = await startGateway(dataDir);
  const file_ids = await upload(running);
  const { id: store } = await running.post("/vector_stores", { name: "killed", file_ids });
  for (const count of killAfter) {
    await waitFor(count, store, running);
    running.child.kill("SIGKILL");
    await running.child.exited;
    running = await startGateway(dataDir);
  }
  await waitFor(files, store, running);
  const { id: other } = await running.post("/vector_stores", { name: "undisturbed", file_ids });
  await waitFor(files, other, running);
  running.child.kill("SIGKILL");
  await running.child.exited;
  const found = passagesOf(store, dataDir);
  expect(found).toEqual(passagesOf(other, dataDir));
  expect(found.length).toBeGreaterThanOrEqual(files * pagesPerFile);
}, 300_000);
