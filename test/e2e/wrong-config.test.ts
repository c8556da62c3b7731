/** Configurations that the compiled binary must refuse, or take with a warning: never in silence. */
import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createFolder, freePort, runBinary, startGateway } from "../support/binary.ts";

const folders: ReturnType<typeof createFolder>[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove();
});

function inFolder(config: string): string {
  const folder = createFolder();
  folders.push(folder);
  writeFileSync(join(folder.path, "config.yaml"), config);
  return folder.path;
}

const models = `model_list:
  - model_name: gpt-4
    litellm_params: {model: openai/gpt-4, api_key: sk-x, api_base: "http://127.0.0.1:9/v1"}
`;

const refused = [
  ["a tab in the YAML", `${models}\trouter_settings: {}\n`, /config\.yaml:4/],
  ["an unclosed bracket", `${models}router_settings: {num_retries: 2\n`, /config\.yaml:[45]/],
  [
    "an unknown strategy",
    `${models}router_settings: {routing_strategy: llmrouter-magic}\n`,
    /llmrouter-magic/,
  ],
  ["a wrong type", `${models}router_settings: {num_retries: many}\n`, /num_retries/],
  ["a model list that is none", "model_list: 7\n", /model_list/],
  ["an entry without a model", "model_list: [{model_name: a, litellm_params: {}}]\n", /model/],
] as const;

describe("refused at start, with place and remedy", () => {
  test.each(refused)("%s", async (_name, config, says) => {
    const cwd = inFolder(config);
    const args = ["serve", "--port", String(freePort())];
    const { exitCode, stderr, stdout } = await runBinary(args, { cwd });
    const said = stderr + stdout;
    expect(exitCode).toBe(1);
    expect(said).toMatch(says);
    expect(said).not.toMatch(/\n\s+at /);
  });
});

test("an unknown key is a warning that names the nearest known one", async () => {
  const cwd = inFolder(`${models}router_settings: {num_retrys: 3}\n`);
  const gateway = await startGateway({ cwd });
  await gateway.stop();
  expect(gateway.log()).toContain("num_retrys");
  expect(gateway.log()).toContain("num_retries");
});

test("the seed example starts unchanged, degraded in plain sight", async () => {
  const cwd = inFolder(`model_list:
  - model_name: gpt-4
    litellm_params: {model: openai/gpt-4, api_key: os.environ/OPENAI_API_KEY}
router_settings:
  routing_strategy: llmrouter-knn
  routing_strategy_args: {model_path: /app/models/router_model.pkl, hot_reload: true, reload_interval: 300}
`);
  const gateway = await startGateway({ cwd, env: { OPENAI_API_KEY: "sk-x" } });
  const response = await fetch(`${gateway.url}/_health/ready`);
  const body = (await response.json()) as { status: string; checks: Record<string, unknown> };
  await gateway.stop();
  expect(response.status).toBe(200);
  expect(body.status).toBe("degraded");
  expect(JSON.stringify(body.checks["artifact"])).toContain("routeiq train");
});

test("a wide bind without a master key is refused", async () => {
  const cwd = inFolder(models);
  const args = ["serve", "--host", "0.0.0.0", "--port", String(freePort())];
  const { exitCode, stderr } = await runBinary(args, { cwd });
  expect(exitCode).toBe(1);
  expect(stderr).toContain("master");
});

test("a port in use is said", async () => {
  const taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { exitCode, stderr } = await runBinary(["serve", "--port", String(taken.port)], {
    cwd: inFolder(models),
  });
  await taken.stop(true);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(String(taken.port));
});
