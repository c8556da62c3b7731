/** The price file: found, read, and told where it is wrong; never fetched. */
import { expect, test } from "bun:test";
import { loadConfig } from "./load.ts";

const yaml = "routeiq_settings: {price_file: prices.json}\n";
const row = { input_cost_per_token: 1e-6 };

async function load(text: string | undefined, env: Record<string, string> = {}, config = yaml) {
  return await loadConfig({
    path: "/etc/routeiq/config.yaml",
    cwd: "/",
    env,
    readText: async (path) => {
      if (path.endsWith(".yaml")) return config;
      return path === "/etc/routeiq/prices.json" ? text : undefined;
    },
  });
}

test("is read beside the configuration, its sample left out, names in lower case", async () => {
  const { config } = await load(JSON.stringify({ "OpenAI/X": row, sample_spec: {} }));
  expect(config?.prices).toEqual({ "openai/x": row });
});

test.each([
  ["missing", undefined, "does not exist"],
  ["no JSON", "{", "cannot be read"],
  ["no map", "[]", "no map of models"],
])("%s: refused", async (_name, text, message) => {
  const { config, findings } = await load(text);
  expect(config).toBeUndefined();
  expect(findings[0]?.message).toContain(message);
});

test("LiteLLM's variable: a file is read, an address is not followed, and it is said", async () => {
  const none = "model_list: []\n";
  const file = await load(
    JSON.stringify({ x: row }),
    { LITELLM_MODEL_COST_MAP_URL: "file:///etc/routeiq/prices.json" },
    none,
  );
  expect(file.config?.prices).toEqual({ x: row });
  const url = await load(
    undefined,
    { LITELLM_MODEL_COST_MAP_URL: "https://prices.test/x.json" },
    none,
  );
  expect(url.config?.prices).toEqual({});
  expect(url.findings.some(({ message }) => message.includes("prices are not fetched"))).toBe(true);
});
