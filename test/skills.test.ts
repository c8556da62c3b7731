/** Skills against a running gateway: found, registered by Anthropic's client, run, and contained. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Anthropic, { toFile } from "@anthropic-ai/sdk";
import type { JsonObject } from "../src/domain/json.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

let it: TestGateway;
let client: Anthropic;
let folder: string;

const front = (fields: string) => `---\n${fields}\n---\n# A skill\n\nWhat it does.\n`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "routeiq-skills-"));
  const put = (path: string, text: string) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  put("greet/SKILL.md", "# Greeting\n\nSays hello, warmly.\n\nMore.");
  put("greet/templates/a.txt", "Hello!");
  put(
    "adder/SKILL.md",
    front("name: adder\nruntime: javascript\ninput_schema: {type: object, required: [a, b]}"),
  );
  put(
    "adder/main.js",
    "export default ({a, b}) => { console.log('adding', a); return {sum: a + b}; };",
  );
  put("Bad_Name/SKILL.md", "# no");
  put("broken/SKILL.md", front("name: broken\nruntime: cobol"));
  writeFileSync(join(folder, "secret.txt"), "secret");
  symlinkSync(join(folder, "secret.txt"), join(folder, "greet", "link.txt"));
  const yaml = `
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]
routeiq_settings: {skills: {folder: "${folder}", timeout_ms: 1200, memory_mb: 24, output_bytes: 2000, concurrency: 2}}
`;
  it = await startTestGateway({ yaml });
  client = new Anthropic({ apiKey: "k", baseURL: it.gateway.url, maxRetries: 0 });
});
afterAll(async () => {
  await it.gateway.close();
  rmSync(folder, { recursive: true });
});

const get = (path: string) => fetch(`${it.gateway.url}${path}`);

describe("the operator's folder", () => {
  test("is listed and read", async () => {
    const index = await get("/.well-known/skills/index.json");
    expect(index.headers.get("cache-control")).toBe("public, max-age=60");
    expect(await index.json()).toEqual({
      skills: [
        { name: "adder", description: "What it does.", files: ["SKILL.md", "main.js"] },
        {
          name: "greet",
          description: "Says hello, warmly.",
          files: ["SKILL.md", "templates/a.txt"],
        },
      ],
    });
    const main = await get("/.well-known/skills/greet/SKILL.md");
    expect([
      main.status,
      main.headers.get("content-type"),
      main.headers.get("cache-control"),
    ]).toEqual([200, "text/markdown; charset=utf-8", "public, max-age=300"]);
    expect(await (await get("/.well-known/skills/greet/templates/a.txt")).text()).toBe("Hello!");
    expect(it.log.some((line) => line.includes("broken"))).toBe(true);
  });

  test.each([
    "/.well-known/skills/greet/../secret.txt",
    "/.well-known/skills/greet/..%2f..%2fsecret.txt",
    "/.well-known/skills/greet/%2e%2e/secret.txt",
    "/.well-known/skills/greet/link.txt",
    "/.well-known/skills/..%2f/secret.txt",
    "/.well-known/skills/greet/templates",
    "/.well-known/skills/none/SKILL.md",
  ])("%s leads nowhere", async (path) => {
    expect((await get(path)).status).toBe(404);
  });
});

async function register(files: Readonly<Record<string, string | Uint8Array>>) {
  return client.beta.skills.create({
    files: await Promise.all(
      Object.entries(files).map(([path, text]) => toFile(Buffer.from(text), path)),
    ),
    display_name: "Mine",
  });
}

async function run(id: string, input: unknown): Promise<{ status: number; body: JsonObject }> {
  const answer = await fetch(`${it.gateway.url}/v1/skills/${id}/run`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ input }),
  });
  return { status: answer.status, body: (await answer.json()) as JsonObject };
}

const program = (code: string, more = "", runtime = "javascript") => ({
  "mine/SKILL.md": front(`name: mine\ndescription: Mine.\nruntime: ${runtime}${more}`),
  [`mine/main.${runtime === "typescript" ? "ts" : "js"}`]: code,
});

test("Anthropic's client registers, versions, lists and deletes", async () => {
  const skill = await register(program("export default () => 1"));
  expect(skill).toMatchObject({ type: "skill", display_name: "Mine", source: { type: "custom" } });
  expect(await client.beta.skills.retrieve(skill.id)).toEqual(skill);
  const version = await client.beta.skills.versions.create(skill.id, {
    files: await Promise.all(
      Object.entries(program("export default () => 2")).map(([path, text]) =>
        toFile(Buffer.from(text), path),
      ),
    ),
  });
  expect(version).toMatchObject({ type: "skill_version", skill_id: skill.id, name: "mine" });
  const versions: string[] = [];
  for await (const each of client.beta.skills.versions.list(skill.id, { limit: 1 })) {
    versions.push(each.id);
  }
  expect(versions.sort()).toEqual([skill.latest_version_id, version.id].sort());
  expect((await run(skill.id, {})).body["output"]).toBe(2);
  expect((await client.beta.skills.retrieve(skill.id)).latest_version_id).toBe(version.id);
  expect(await client.beta.skills.delete(skill.id)).toMatchObject({ type: "skill_deleted" });
  expect((await get(`/v1/skills/${skill.id}`)).status).toBe(404);
});

describe("a program", () => {
  test("of the operator's runs by its name, by its schema", async () => {
    const { body } = await run("adder", { a: 2, b: 3 });
    expect(body).toMatchObject({ output: { sum: 5 }, logs: ["adding 2"], skill_id: "adder" });
    const wrong = await run("adder", { a: 2 });
    expect([wrong.status, JSON.stringify(wrong.body)]).toEqual([400, expect.stringContaining("b")]);
  });

  test("leaves a receipt in the log and counts, however it ends", async () => {
    await run("adder", { a: 1, b: 1 });
    await run((await register(program("export default () => { throw 1 }"))).id, {});
    const metrics = await (await get("/metrics")).text();
    for (const outcome of ["success", "failure"]) {
      const labels = `operation="skill_run",provider="skills",outcome="${outcome}"`;
      expect(metrics).toMatch(new RegExp(`routeiq_tool_calls_total\\{${labels}\\} [1-9]`));
    }
  });

  test("in TypeScript, with promises", async () => {
    const code =
      "interface In { n: number }\nexport default async ({ n }: In): Promise<number[]> => { await null; return [n, n * 2]; };";
    const skill = await register(program(code, "", "typescript"));
    expect((await run(skill.id, { n: 4 })).body["output"]).toEqual([4, 8]);
  });

  const hostile: readonly (readonly [string, string, string])[] = [
    ["loops for ever", "export default () => { for (;;) {} }", "too long"],
    ["loops in a promise", "export default async () => { await null; for (;;) {} }", "too long"],
    ["waits for nothing", "export default () => new Promise(() => {})", "never comes"],
    [
      "takes all memory",
      "export default () => { const a = []; for (;;) a.push('x'.repeat(1e6) + a.length); }",
      "memory",
    ],
    ["goes too deep", "export default function f() { return f() + 1; }", "stack"],
    ["says too much", "export default () => 'x'.repeat(5000)", "over the limit"],
    ["throws", "export default () => { throw new TypeError('no') }", "TypeError: no"],
    ["does not parse", "export default (", "SyntaxError"],
    ["exports nothing", "const a = 1;", "no default export"],
    ["looks for the process", "export default () => process.env", "not defined"],
    ["looks for files", "export default () => require('fs')", "not defined"],
    ["imports", "import fs from 'node:fs'; export default () => 1", "node:fs"],
    ["looks for Bun", "export default () => Bun.file('/etc/passwd')", "not defined"],
    ["fetches", "export default () => fetch('http://169.254.169.254/')", "not defined"],
  ];
  test.each(hostile)("that %s harms nobody", async (_name, code, why) => {
    const skill = await register(program(code));
    const { status, body } = await run(skill.id, {});
    expect([status, JSON.stringify(body["error"])]).toEqual([422, expect.stringContaining(why)]);
    expect((await run("adder", { a: 1, b: 1 })).body["output"]).toEqual({ sum: 2 });
  });

  test("of a caller reaches no host that the operator has not opened", async () => {
    const code = "export default () => fetch('http://127.0.0.1:1/')";
    const skill = await register(program(code, "\nnetwork: [127.0.0.1]"));
    const { status, body } = await run(skill.id, {});
    expect([status, JSON.stringify(body["error"])]).toEqual([
      422,
      expect.stringContaining("not defined"),
    ]);
  });

  test("leaves nothing to the next", async () => {
    const first = await register(
      program("export default () => { globalThis.left = 1; return 1; }"),
    );
    await run(first.id, {});
    const second = await register(program("export default () => typeof left"));
    expect((await run(second.id, {})).body["output"]).toBe("undefined");
  });
});

describe("WebAssembly", () => {
  /** Answers its input: alloc gives 1024, run packs the pointer and the length. */
  const echo = Buffer.from(
    [
      "0061736d01000000", // magic, version
      "010c02" + "60017f017f" + "60027f7f017e", // (i32) → i32, (i32, i32) → i64
      "020f01" + "03656e76" + "066d656d6f7279" + "020001", // env.memory
      "03030200" + "01",
      "070f02" + "05616c6c6f630000" + "0372756e0001",
      "0a1402" + "050041800" + "80b", // 1024
      "0c002000ad422086" + "2001ad840b", // pointer << 32 | length
    ].join(""),
    "hex",
  );
  const wasm = (bytes: Uint8Array) => ({
    "mine/SKILL.md": front("name: mine\nruntime: wasm"),
    "mine/main.wasm": bytes,
  });

  test("runs with a memory of its own", async () => {
    const skill = await register(wasm(echo));
    const { body } = await run(skill.id, { hello: "world" });
    expect(body["output"]).toEqual({ hello: "world" });
  });

  /** Before its exports: a section that lies outside its limit. */
  const outside: readonly (readonly [string, string, string])[] = [
    ["a table that may grow", "0404" + "01700001", "without a maximum"],
    ["a huge table", "0408" + "01700101" + "80ade204", "tables may grow"],
    ["a memory of its own", "0503" + "010001", "memory of its own"],
  ];
  test.each(outside)("with %s is refused", async (_name, section, why) => {
    const exports = echo.indexOf(Buffer.from("070f02", "hex"));
    const made = Buffer.concat([
      echo.subarray(0, exports),
      Buffer.from(section, "hex"),
      echo.subarray(exports),
    ]);
    const { status, body } = await run((await register(wasm(made))).id, {});
    expect([status, JSON.stringify(body["error"])]).toEqual([422, expect.stringContaining(why)]);
  });

  test("that is none is refused when it runs", async () => {
    const skill = await register(wasm(Buffer.from("not wasm")));
    expect((await run(skill.id, {})).status).toBe(422);
  });
});

describe("files that are no skill are refused", () => {
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
    ["no SKILL.md", { "a/main.js": "" }, "SKILL.md"],
    ["a bad name", { "a/SKILL.md": front("name: Bad Name") }, "name"],
    ["a path that leads out", { "a/SKILL.md": "# x", "a/../../b": "" }, "path"],
    ["no entry", { "a/SKILL.md": front("name: a\nruntime: javascript") }, "main.js"],
    ["no YAML", { "a/SKILL.md": "---\na: [\n---\n" }, "YAML"],
  ];
  test.each(cases)("%s", async (_name, files, why) => {
    const form = new FormData();
    for (const [path, text] of Object.entries(files))
      form.append("files[]", new Blob([text]), path);
    const answer = await fetch(`${it.gateway.url}/v1/skills`, { method: "POST", body: form });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(why)]);
  });

  test("nothing at all", async () => {
    const form = new FormData();
    form.append("display_name", "x");
    const answer = await fetch(`${it.gateway.url}/v1/skills`, { method: "POST", body: form });
    expect(answer.status).toBe(400);
  });
});
