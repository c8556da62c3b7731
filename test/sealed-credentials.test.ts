/** Credentials registered by API are not in the data folder in plain text, whatever key there is. */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sealingFileName } from "../src/storage/file/sealing-secret.ts";
import { startTestGateway } from "./support/gateway.ts";

const credential = "a-credential-that-nobody-may-read";
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-sealed-"));
  folders.push(folder);
  return folder;
}

const masterKey = "sk-master-key-of-the-test";

/** A gateway on a folder; closed when `run` is through. */
async function withGateway<T>(
  dataDir: string,
  env: Readonly<Record<string, string>>,
  run: (ask: (method: string, path: string, body?: object) => Promise<Response>) => Promise<T>,
  yaml = "model_list: []\n",
): Promise<T> {
  const { gateway } = await startTestGateway({ yaml, env, dataDir });
  const ask = (method: string, path: string, body?: object) =>
    fetch(`${gateway.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${masterKey}`, "content-type": "application/json" },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  try {
    return await run(ask);
  } finally {
    await gateway.close();
  }
}

const server = {
  server_name: "wiki",
  url: "https://mcp.example.com/mcp",
  transport: "http",
  auth_type: "bearer_token",
  auth_value: credential,
};

const everything = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");

const keys = [
  ["the salt key", { LITELLM_MASTER_KEY: masterKey, LITELLM_SALT_KEY: "sk-salt" }],
  ["the master key", { LITELLM_MASTER_KEY: masterKey }],
  ["a key of the gateway's own", {}],
] as const;

test.each(keys)("sealed with %s, and read again after a restart", async (_, env) => {
  const dataDir = newFolder();
  await withGateway(dataDir, env, async (ask) => {
    expect((await ask("POST", "/v1/mcp/server", server)).status).toBe(201);
  });
  const written = everything(dataDir);
  expect(written).toContain("riq1.");
  expect(written).not.toContain(credential);
  await withGateway(dataDir, env, async (ask) => {
    const listed = await ask("GET", "/v1/mcp/server");
    // Beside the servers that the gateway is itself.
    expect(await listed.json()).toContainEqual(expect.objectContaining({ server_name: "wiki" }));
  });
  if (Object.keys(env).length > 0) expect(written).not.toContain(sealingFileName);
  else expect(statSync(join(dataDir, sealingFileName)).mode & 0o777).toBe(0o600);
});

test("another key is said, and nothing is shown; the former one, named, is taken and replaced", async () => {
  const dataDir = newFolder();
  const master = { LITELLM_MASTER_KEY: masterKey };
  await withGateway(dataDir, { ...master, LITELLM_SALT_KEY: "sk-first" }, async (ask) => {
    await ask("POST", "/v1/mcp/server", server);
  });
  await withGateway(dataDir, { ...master, LITELLM_SALT_KEY: "sk-second" }, async (ask) => {
    const refused = await ask("GET", "/v1/mcp/server");
    const text = await refused.text();
    expect([refused.status, text]).toEqual([500, expect.stringContaining("LITELLM_SALT_KEY")]);
    expect(text).not.toContain(credential);
  });
  const named = `model_list: []
routeiq_settings:
  encryption: { salt_key: sk-second, previous_salt_keys: [sk-first] }
`;
  const listed = async (ask: (method: string, path: string) => Promise<Response>) => {
    // Sealing anew happens beside the calls; whichever comes first, they work.
    expect((await ask("GET", "/v1/mcp/server")).status).toBe(200);
  };
  await withGateway(dataDir, master, listed, named);
  await withGateway(dataDir, { ...master, LITELLM_SALT_KEY: "sk-second" }, listed);
});
