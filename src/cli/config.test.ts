/** `config check`, `config explain`, `config schema`, as their readers see them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { configSchema } from "../config/sections/all.ts";
import { commands } from "./registry.ts";
import { runCommandLine } from "./run.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "config-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function run(...words: readonly string[]) {
  const written = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const code = await runCommandLine({
    words: ["config", ...words],
    commands,
    defaultCommand: "serve",
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    env: {},
    signal: new AbortController().signal,
  });
  return { code, ...written };
}

async function file(yaml: string): Promise<string> {
  const path = join(folder, "config.yaml");
  await Bun.write(path, yaml);
  return path;
}

const good = "model_list:\n  - {model_name: a, litellm_params: {model: openai/a, api_key: k}}\n";

test("check: a good file, a doubtful one, a wrong one", async () => {
  const path = await file(good);
  expect(await run("check", path)).toEqual({
    code: 0,
    stdout: `ok: 0 errors, 0 warnings; 1 deployments, from ${path}\n`,
    stderr: "",
  });
  await file(`${good}router_setings: {}\n`);
  const doubtful = await run("check", path);
  expect(doubtful.code).toBe(0);
  expect(doubtful.stdout).toStartWith(
    `${path}:3: warning: router_setings: unknown key "router_setings" at the top of the file\n    Did you mean "router_settings"?`,
  );
  expect((await run("check", "--strict", path)).code).toBe(1);
  await file(`${good}router_settings: {num_retries: x}\n`);
  const wrong = JSON.parse((await run("check", path, "--json")).stdout);
  expect(wrong).toMatchObject({
    ok: false,
    errors: 1,
    warnings: 0,
    findings: [{ level: "error", line: 3 }],
  });
});

test("check: a row that no provider serves", async () => {
  const path = await file(good.replace("openai/a", "nobody/a"));
  const { stdout } = await run("check", path, "--json");
  expect(JSON.parse(stdout).findings[0].path).toContain("litellm_params");
});

test("check: a file that is not there", async () => {
  const { code, stdout } = await run("check", join(folder, "gone.yaml"));
  expect([code, stdout.includes("does not exist")]).toEqual([1, true]);
});

test("explain: by path, by name, and what was meant", async () => {
  const byName = await run("explain", "cooldown_time");
  expect(byName.stdout).toContain("router_settings.cooldown_time: a number, 0 or more, default 5");
  const section = JSON.parse((await run("explain", "routeiq_settings.timeouts", "--json")).stdout);
  expect(section.length).toBeGreaterThan(5);
  const unknown = await run("explain", "cooldown_tme");
  expect([unknown.code, unknown.stderr]).toEqual([
    1,
    'routeiq: there is no key "cooldown_tme". Did you mean "cooldown_time"?\n',
  ]);
});

const rich = `model_list:
  - {model_name: m, litellm_params: {model: openai/gpt-4o, api_key: k, order: 1}, model_info: {id: a}}
  - {model_name: m, litellm_params: {model: openai/gpt-4o, api_key: k, order: 2, tags: [paid]}, model_info: {id: b}}
  - {model_name: n, litellm_params: {model: groq/x, api_key: k}}
  - {model_name: old, litellm_params: {model: oci/x}}
  - {model_name: "w/*", litellm_params: {model: "openai/*", api_key: k}}
router_settings:
  num_retries: 1
  model_group_alias: {best: m}
  fallbacks: [{m: [n]}]
  enable_tag_filtering: true
`;

const explained: readonly [string, readonly string[], number, readonly string[]][] = [
  [
    "an alias and its group",
    ["best"],
    0,
    [
      '"best" is an alias of "m"',
      "a: openai/gpt-4o, POST https://api.openai.com/v1/chat/completions, with a key, order 1",
      "order 1 first: a",
      "up to 1 more",
      "after a failure of the provider: n",
    ],
  ],
  ["tags", ["m", "--tags", "paid"], 0, ["left out: a", "b: nothing to choose"]],
  ["a wildcard", ["w/gpt-5"], 0, ["is taken by a wildcard", "openai/gpt-5"]],
  ["what is off", ["old"], 1, ["turned off"]],
  ["what is unknown", ["nobody"], 1, ["Invalid model name passed in model=nobody"]],
  ["every model", [], 0, ['A call to "m"', 'A call to "n"', 'A call to "old"', 'A call to "best"']],
];
test.each(explained)("explain a call: %s", async (_name, words, code, lines) => {
  const path = await file(rich);
  const told = await run("explain", path, ...words);
  expect(told.code).toBe(code);
  for (const line of lines) expect(told.stdout).toContain(line);
  const byFlag = await run("explain", "--config", path, ...words);
  expect(byFlag).toEqual(told);
});

test("schema: JSON that a good file fits and a wrong one does not", async () => {
  const schema = JSON.parse((await run("schema")).stdout);
  expect(schema).toMatchObject({ type: "object", title: "RouteIQ configuration" });
  expect(Value.Check(configSchema.properties.router_settings, { num_retries: "x" })).toBe(false);
});
