/** Skills in Python against a running gateway, with the real interpreter: run, and contained. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../src/domain/json.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { hasPython, primePython, pythonPackage } from "../support/python-runtime.ts";

const when = hasPython ? describe : describe.skip;
if (!hasPython) console.warn("skipped: the package pyodide is not installed");

let it: TestGateway;
let folder: string;

const front = (fields: string) => `---\n${fields}\n---\nWhat it does.\n`;

function put(path: string, text: string): void {
  mkdirSync(join(folder, path, ".."), { recursive: true });
  writeFileSync(join(folder, path), text);
}

/** Of the operator's folder, so that a run needs no upload. */
function putSkill(name: string, code: string, more = ""): void {
  put(`${name}/SKILL.md`, front(`name: ${name}\nruntime: python${more}`));
  put(`${name}/main.py`, code);
}

async function run(skill: string, input: unknown): Promise<{ status: number; body: JsonObject }> {
  const answer = await fetch(`${it.gateway.url}/v1/skills/${skill}/run`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ input }),
  });
  return { status: answer.status, body: (await answer.json()) as JsonObject };
}

const hostile = {
  loops: ["def main(i):\n  while True: pass", "too long"],
  hoards: ["def main(i):\n  a=[]\n  while True: a.append(bytearray(1000000))", "MemoryError"],
  talks: ["def main(i): return 'x' * 5000", "over the limit"],
  throws: ["def main(i):\n  raise ValueError('no')", "ValueError: no (main.py, line 2)"],
  escapes: [
    // By way of any object of JavaScript's: what it reaches there may open nothing.
    `from pyodide.ffi import to_js
def main(i):
  evaluate = to_js([1]).constructor.constructor
  return evaluate("return process.getBuiltinModule('node:fs').readFileSync('/etc/passwd', 'utf8')")()`,
    "not permitted",
  ],
  spawns: [
    `from pyodide.ffi import to_js
def main(i):
  evaluate = to_js([1]).constructor.constructor
  return evaluate("return process.getBuiltinModule('node:child_process').execSync('id').toString()")()`,
    "",
  ],
} as const;

when("skills in Python", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "routeiq-python-"));
    putSkill(
      "stats",
      `import helper, statistics
from pathlib import Path
async def main(given):
  print("for", len(given["numbers"]))
  return {"mean": statistics.mean(given["numbers"]), "helper": helper.word(), "note": Path("data/note.txt").read_text()}`,
      "\ninput_schema: {type: object, required: [numbers]}",
    );
    put("stats/helper.py", "def word(): return 'helped'");
    put("stats/data/note.txt", "beside it");
    putSkill(
      "looks",
      `import os, random, sys
def main(i):
  sys.left = getattr(sys, "left", 0) + 1
  try:
    import js
    world = "js"
  except ImportError:
    world = "none"
  return {"left": sys.left, "world": world, "env": sorted(os.environ), "root": sorted(os.listdir("/")), "random": random.random()}`,
    );
    putSkill(
      "fetches",
      `from routeiq import fetch
import asyncio
async def main(i):
  await asyncio.sleep(0.01)
  answer = await fetch(i["url"], method="POST", body={"a": 1})
  return [answer.status, answer.json()]`,
      "\nnetwork: [127.0.0.1, 169.254.169.254]",
    );
    for (const [name, [code]] of Object.entries(hostile)) putSkill(name, code);
    const yaml = `
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]
routeiq_settings: {skills: {folder: "${folder}", timeout_ms: 4000, memory_mb: 64, output_bytes: 2000, concurrency: 1, python_runtime: "${pythonPackage}"}}
`;
    it = await startTestGateway({ yaml, outbound: createOutbound() });
    await primePython(it.dataDir);
  }, 240_000);
  afterAll(async () => {
    await it.gateway.close();
    rmSync(folder, { recursive: true });
  });

  test("run by their schema, with what lies beside them, and say what they print", async () => {
    const { status, body } = await run("stats", { numbers: [1, 2, 6] });
    expect([status, body["output"], body["logs"]]).toEqual([
      200,
      { mean: 3, helper: "helped", note: "beside it" },
      ["for 3"],
    ]);
    expect((await run("stats", {})).status).toBe(400);
  }, 60_000);

  test("see nothing of the machine, and leave nothing to the next", async () => {
    const first = (await run("looks", {})).body["output"] as JsonObject;
    const second = (await run("looks", {})).body["output"] as JsonObject;
    expect(first).toMatchObject({ left: 1, world: "none" });
    expect(second).toMatchObject({ left: 1, world: "none" });
    expect(first["random"]).not.toBe(second["random"]);
    expect(first["root"]).not.toContain("etc");
  }, 60_000);

  test.each(Object.entries(hostile))(
    "that one %s harms nobody",
    async (name, [, why]) => {
      const { status, body } = await run(name, {});
      expect([status, JSON.stringify(body["error"])]).toEqual([422, expect.stringContaining(why)]);
    },
    60_000,
  );

  test("of callers run behind the same walls", async () => {
    const form = new FormData();
    const add = (name: string, text: string) =>
      form.append("files[]", new Blob([text]), `mine/${name}`);
    add("SKILL.md", front("name: mine\nruntime: python"));
    add("main.py", "def main(given): return given['n'] * 2");
    const made = await fetch(`${it.gateway.url}/v1/skills`, { method: "POST", body: form });
    const { id } = (await made.json()) as JsonObject;
    expect((await run(String(id), { n: 21 })).body["output"]).toBe(42);
  }, 60_000);

  test("reach the hosts that they name by the address rule alone", async () => {
    const { body } = await run("fetches", { url: "http://169.254.169.254/latest/meta-data" });
    expect(JSON.stringify(body["error"])).toContain("OSError: GatewayError: The address");
    const other = await run("fetches", { url: "http://example.com/" });
    expect(JSON.stringify(other.body)).toContain("may not reach example.com");
  }, 60_000);
});
