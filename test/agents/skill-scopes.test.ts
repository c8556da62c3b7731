/** Skills as MCP tools for callers whose access token opens some of them alone (`scope_tools`), by every way in. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type OauthServer, startOauthServer } from "../support/oauth-server.ts";

const publicUrl = "https://ai.example";
let login: OauthServer;
let it: TestGateway;
let folder: string;
beforeAll(async () => {
  login = await startOauthServer();
  folder = mkdtempSync(join(tmpdir(), "routeiq-skill-scopes-"));
  for (const name of ["add-two", "add-three", "shout"]) {
    mkdirSync(join(folder, name));
    const text = `---\nname: ${name}\nruntime: javascript\ninput_schema: {type: object}\n---\nA skill.\n`;
    writeFileSync(join(folder, name, "SKILL.md"), text);
    writeFileSync(join(folder, name, "main.js"), `export default () => "${name} ran";`);
  }
  it = await startTestGateway({
    yaml: `
general_settings: {master_key: sk-master-0123456789}
routeiq_settings:
  skills: {folder: "${folder}"}
  mcp:
    public_url: ${publicUrl}
    oauth:
      - issuer: ${login.issuer}
        scope_tools:
          one: ["skills.add-two"]
          adders: ["skills.add-*"]
          all: ["*"]
          elsewhere: ["github.*"]
`,
    outbound: createOutbound({ allowCidrs: ["127.0.0.0/8"] }),
  });
});
afterAll(async () => {
  await it.gateway.close();
  await login.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly challenge: string;
  readonly text: string;
  readonly session: string | null;
}

async function ask(
  scope: string,
  method: string,
  params: object,
  { path = "/mcp", session = "" } = {},
): Promise<Answer> {
  const token = await login.token({ aud: `${publicUrl}/mcp`, scope });
  const response = await fetch(`${it.gateway.url}${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(session === "" ? {} : { "mcp-session-id": session }),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  const challenge = response.headers.get("www-authenticate") ?? "";
  const opened = response.headers.get("mcp-session-id");
  return { status: response.status, challenge, text: await response.text(), session: opened };
}

const call = (scope: string, name: string, how = {}) =>
  ask(scope, "tools/call", { name, arguments: {} }, how);
const namesIn = (text: string) => [...text.matchAll(/"name":"([^"]+)"/g)].map(([, name]) => name);

describe("what a scope opens", () => {
  test.each([
    ["one", ["skills.add-two"]],
    ["adders", ["skills.add-three", "skills.add-two"]],
    ["one adders", ["skills.add-three", "skills.add-two"]],
    ["all", ["skills.add-three", "skills.add-two", "skills.shout"]],
    ["elsewhere", []],
    ["", []],
  ])("%p lists those and no more", async (scope, names) => {
    expect(namesIn((await ask(scope, "tools/list", {})).text)).toEqual(names);
  });

  test.each([
    ["one", "add-two"],
    ["adders", "add-three"],
    ["all", "shout"],
  ])("%p runs skills.%s", async (scope, skill) => {
    expect((await call(scope, `skills.${skill}`)).text).toContain(`${skill} ran`);
    expect((await call(scope, skill, { path: "/mcp/skills" })).text).toContain(`${skill} ran`);
  });
});

describe("what it does not open does not run", () => {
  test.each([
    ["by its name", "skills.shout", "/mcp"],
    ["on the server's own path", "shout", "/mcp/skills"],
  ])("%s: the scope that would is told", async (_, name, path) => {
    const { status, challenge, text } = await call("adders", name, { path });
    expect([status, text.includes("shout ran")]).toEqual([403, false]);
    expect(challenge).toContain('error="insufficient_scope"');
    expect(challenge).toContain('scope="all"');
  });

  test("found by searching, or called as if it had been", async () => {
    const path = "/mcp?mode=search";
    const query = { name: "search_tools", arguments: { query: "shout add-two" } };
    const found = await ask("all", "tools/call", query, { path });
    expect(found.text).toContain("skills.shout");
    const less = await ask("adders", "tools/call", query, { path });
    expect(less.text).toContain("skills.add-two");
    expect(less.text).not.toContain("skills.shout");
    const wanted = (name: string) => ({ name: "call_tool", arguments: { name, arguments: {} } });
    const open = await ask("adders", "tools/call", wanted("skills.add-two"), { path });
    expect(open.text).toContain("add-two ran");
    const shut = await ask("adders", "tools/call", wanted("skills.shout"), { path });
    expect([shut.status, shut.text.includes("shout ran")]).toEqual([403, false]);
    expect(shut.challenge).toContain('scope="all"');
  });

  test("found on the server's own path", async () => {
    const path = "/mcp/skills?mode=search";
    const wanted = (name: string) => ({ name: "call_tool", arguments: { name, arguments: {} } });
    const open = await ask("adders", "tools/call", wanted("add-two"), { path });
    expect(open.text).toContain("add-two ran");
    const shut = await ask("adders", "tools/call", wanted("shout"), { path });
    expect(shut.text).toContain('"error"');
    expect(shut.text).not.toContain("shout ran");
  });

  test("in a session that a wider token began", async () => {
    const begin = {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "t", version: "1" },
    };
    const { session } = await ask("all", "initialize", begin);
    expect(session).toBeString();
    const how = { session: session ?? "" };
    expect((await call("all", "skills.shout", how)).text).toContain("shout ran");
    const less = await call("one", "skills.shout", how);
    expect([less.status, less.text.includes("shout ran")]).toEqual([403, false]);
    expect(namesIn((await ask("one", "tools/list", {}, how)).text)).toEqual(["skills.add-two"]);
  });

  test("where a scope opens none of them, their server is not there", async () => {
    const { status, text } = await ask("elsewhere", "tools/list", {}, { path: "/mcp/skills" });
    expect([status, text]).toEqual([404, expect.stringContaining("MCP servers")]);
  });
});
