/** Keys of the file: what is refused, and why. */
import { expect, test } from "bun:test";
import { knownNames } from "../../routing/known-names.ts";
import { loadConfig } from "../load.ts";
import { checkConfig } from "./check.ts";

async function load(keys: string, env: Record<string, string> = { LITELLM_MASTER_KEY: master }) {
  const yaml = `
model_list: [{model_name: m, litellm_params: {model: openai/x, api_key: k}}]
routeiq_settings: {keys: {${keys}}}`;
  const readText = () => Promise.resolve(yaml);
  return checkConfig(await loadConfig({ cwd: "/", env, readText }), { known: knownNames });
}
const master = "sk-master-0123456789";

const refused: readonly (readonly [string, Record<string, string> | undefined, RegExp])[] = [
  ["a: {api_key: sk-key-a-0123456789}", {}, /keys would close nothing/],
  ["a: {api_key: short}", undefined, /api_key/],
  ["a: {tenant: t}", undefined, /api_key/],
  [`a: {api_key: ${master}}`, undefined, /same as the master key/],
  [
    "a: {api_key: sk-key-a-0123456789}, b: {api_key: sk-key-a-0123456789}",
    undefined,
    /same as that of 'a'/,
  ],
  ['"a b": {api_key: sk-key-a-0123456789}', undefined, /not one of a key/],
  ["a: {api_key: sk-key-a-0123456789, object_permission: {agents: x}}", undefined, /agents.*list/s],
];
test.each(refused)("%s", async (keys, env, why) => {
  const { config, findings } = await load(keys, env);
  expect(config).toBeUndefined();
  expect(JSON.stringify(findings)).toMatch(why);
});

test("a key's lists are LiteLLM's", async () => {
  const given = `a: {api_key: sk-key-a-0123456789, tenant: t, allowed_passthrough_routes: [/openai],
    object_permission: {mcp_access_groups: [g], mcp_tool_permissions: {s: [x]}, vector_stores: []}}`;
  const { config } = await load(given);
  expect(config?.routeiq.keys["a"]).toEqual({
    apiKey: "sk-key-a-0123456789",
    tenant: "t",
    grants: {
      mcp: { servers: [], accessGroups: ["g"], tools: { s: ["x"] } },
      vectorStores: [],
      passThroughRoutes: ["/openai"],
    },
  });
});

test("a list's slip of the hand is told", async () => {
  const given = "a: {api_key: sk-key-a-0123456789, object_permission: {mcp_server: [x]}}";
  const { findings } = await load(given);
  expect(JSON.stringify(findings)).toMatch(/mcp_servers/);
});
