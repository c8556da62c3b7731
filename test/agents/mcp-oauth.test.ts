/**
 * OAuth 2.1 both ways, against a real authorization server: one gateway guards `/mcp` by access tokens,
 * another one is its client.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "../support/mcp-fixture.ts";
import { type OauthServer, startOauthServer } from "../support/oauth-server.ts";

let fixture: HttpFixture;
let login: OauthServer;
let guarded: TestGateway;
let client: TestGateway;
let publicUrl: string;
const seen: (string | null)[] = [];

/** The guarded gateway's address as the world knows it. */
const front = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  fetch(request) {
    const { pathname, search } = new URL(request.url);
    return fetch(new Request(`${guarded.gateway.url}${pathname}${search}`, request));
  },
});
/** What the fixture is sent of credentials. */
const spy = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  fetch(request) {
    seen.push(request.headers.get("authorization"));
    return fetch(new Request(fixture.url, request));
  },
});

beforeAll(async () => {
  fixture = startMcpFixture();
  login = await startOauthServer();
  publicUrl = `http://127.0.0.1:${front.port}`;
  const outbound = createOutbound({ allowCidrs: ["127.0.0.0/8"] });
  guarded = await startTestGateway({
    yaml: `
mcp_servers: {fixture: {url: "http://127.0.0.1:${spy.port}/mcp"}, other: {url: "${fixture.url}"}}
general_settings: {master_key: sk-guarded-0123456789}
routeiq_settings:
  mcp:
    public_url: ${publicUrl}
    oauth:
      - issuer: ${login.issuer}
        required_scopes: [mcp]
        introspection_url: ${login.issuer}/introspect
        client_id: machine
        client_secret: machine-secret
        scope_tools:
          mcp: ["fixture.test_simple_text", "fixture.test_error_*"]
          admin: ["*"]
`,
    outbound,
  });
  const row = `url: "${publicUrl}/mcp/fixture", auth_type: oauth2, timeout: 10`;
  client = await startTestGateway({
    yaml: `
mcp_servers:
  machine: {${row}, client_id: machine, client_secret: machine-secret, scopes: [mcp]}
  shared: {${row}}
  own: {${row}, oauth2_grant: per_caller}
routeiq_settings: {outbound: {allow_cidrs: [127.0.0.0/8]}, mcp: {public_url: "http://127.0.0.1:1"}}
`,
    outbound,
  });
});
afterAll(async () => {
  await client.gateway.close();
  await guarded.gateway.close();
  await login.close();
  await fixture.close();
  await Promise.all([front.stop(true), spy.stop(true)]);
});

interface Reply {
  readonly status: number;
  readonly challenge: string;
  readonly body: {
    readonly result?: {
      readonly tools?: readonly { readonly name: string }[];
      readonly content?: object;
    };
    readonly error?: { readonly code: number; readonly message: string; readonly data?: object };
  };
}

async function ask(base: string, method: string, params: object, token?: string): Promise<Reply> {
  const response = await fetch(base, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  const challenge = response.headers.get("www-authenticate") ?? "";
  return { status: response.status, challenge, body: (await response.json()) as Reply["body"] };
}

const call = { name: "test_simple_text", arguments: {} };
const guard = (token?: string, params: object = call, path = "/mcp/fixture") =>
  ask(`${publicUrl}${path}`, "tools/call", params, token);

describe("as a resource", () => {
  const good = () => ({ aud: `${publicUrl}/mcp`, scope: "mcp" });

  test("says where tokens come from", async () => {
    const { status, challenge } = await guard();
    expect([status, challenge]).toEqual([
      401,
      `Bearer resource_metadata="${publicUrl}/.well-known/oauth-protected-resource/mcp/fixture", scope="mcp"`,
    ]);
    const url = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? "";
    expect(await (await fetch(url)).json()).toEqual({
      resource: `${publicUrl}/mcp/fixture`,
      authorization_servers: [login.issuer],
      bearer_methods_supported: ["header"],
      scopes_supported: ["mcp", "admin"],
      resource_name: "RouteIQ MCP gateway",
    });
    const older = await fetch(`${publicUrl}/.well-known/oauth-authorization-server`);
    expect(await older.json()).toMatchObject({ issuer: login.issuer });
  });

  test("lets a good token in, and passes it on to nobody", async () => {
    const token = await login.token(good());
    const { status, body } = await guard(token);
    expect(status).toBe(200);
    expect(body.result?.content).toBeDefined();
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.filter((sent) => sent !== null)).toEqual([]);
  });

  test("a key opens it as before", async () => {
    expect((await guard("sk-guarded-0123456789")).status).toBe(200);
  });

  const nowS = Math.floor(Date.now() / 1000);
  const bad: readonly (readonly [string, object, object, string])[] = [
    ["for another resource", { aud: "https://elsewhere.example/mcp" }, {}, "another resource"],
    ["for another server's path", { aud: "http://127.0.0.1/mcp/other" }, {}, "another resource"],
    ["without an audience", { aud: undefined }, {}, "another resource"],
    ["that expired", { exp: nowS - 3_600 }, {}, "has expired"],
    ["that never ends", { exp: undefined }, {}, "does not say when it ends"],
    ["of later", { nbf: nowS + 3_600 }, {}, "not valid yet"],
    ["of nobody", { sub: undefined }, {}, "does not say whose"],
    ["of another issuer", { iss: "https://evil.example" }, {}, "none of this gateway's"],
    ["that says it has no signature", {}, { alg: "none" }, "signature is by none"],
    ["that says a secret signed it", {}, { alg: "HS256" }, "signature is by HS256"],
    ["that is an identity token", {}, { typ: "id_token+jwt" }, "another kind"],
    ["with critical extensions", {}, { crit: ["b64"] }, "critical extensions"],
    ["by another key", {}, { kid: "unheard-of" }, "none of its issuer's keys"],
  ];
  test.each(bad)("a token %s is refused", async (_, claims, header, why) => {
    const { status, challenge } = await guard(await login.token({ ...good(), ...claims }, header));
    expect([status, challenge]).toEqual([401, expect.stringContaining('error="invalid_token"')]);
    expect(challenge).toContain(why);
  });

  test("one whose claims were changed is refused", async () => {
    const [head, , tail] = (await login.token(good())).split(".");
    const claims = { iss: login.issuer, sub: "root", exp: nowS + 99, ...good() };
    const forged = `${head}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${tail}`;
    expect((await guard(forged)).status).toBe(401);
  });

  test("one for the server's own path opens that path alone", async () => {
    const token = await login.token({ ...good(), aud: [`${publicUrl}/mcp/fixture`] });
    expect((await guard(token)).status).toBe(200);
    expect((await guard(token, call, "/mcp/other")).status).toBe(401);
  });

  test("a scope that is required, or that a tool needs, is asked for", async () => {
    const none = await guard(await login.token({ ...good(), scope: "profile" }));
    expect([none.status, none.challenge]).toEqual([403, expect.stringContaining('scope="mcp"')]);
    const token = await login.token(good());
    const more = await guard(token, { name: "test_image_content", arguments: {} });
    expect([more.status, more.challenge]).toEqual([
      403,
      expect.stringContaining('error="insufficient_scope"'),
    ]);
    expect(more.challenge).toContain('scope="admin"');
    const { body } = await ask(`${publicUrl}/mcp`, "tools/list", {}, token);
    const names = body.result?.tools?.map(({ name }) => name);
    expect(names).toEqual(["fixture.test_error_handling", "fixture.test_simple_text"]);
    const all = await login.token({ ...good(), scope: "mcp admin" });
    const { status } = await guard(all, { name: "test_image_content", arguments: {} });
    expect(status).toBe(200);
  });

  test("keys that its issuer changed are found, and not looked for at every bad token", async () => {
    const before = await login.token(good());
    expect((await guard(before)).status).toBe(200);
    const fetches = login.keyFetches;
    for (let i = 0; i < 5; i++) await guard(await login.token(good(), { kid: `k${i}` }));
    expect(login.keyFetches - fetches).toBeLessThanOrEqual(1);
  });

  test("an opaque token is asked about", async () => {
    const token = login.opaque({ ...good(), sub: "bob", exp: nowS + 60 });
    expect((await guard(token)).status).toBe(200);
    expect((await guard("opaque-nobody")).challenge).toContain("not active");
  });

  test("an administrator's routes are not opened by it", async () => {
    const headers = {
      authorization: `Bearer ${await login.token({ ...good(), scope: "mcp admin" })}`,
    };
    expect((await fetch(`${publicUrl}/v1/mcp/pins`, { headers })).status).toBe(401);
  });
});

describe("as a client", () => {
  const use = (server: string) => ask(`${client.gateway.url}/mcp/${server}`, "tools/call", call);
  const rest = async (method: string, path: string) => {
    const response = await fetch(`${client.gateway.url}${path}`, { method });
    return (await response.json()) as Record<string, string>;
  };
  /** The browser: to the authorization server, and with its answer to the gateway. */
  const goThere = async (url: string) => {
    const sent = await fetch(url, { redirect: "manual" });
    const back = new URL(sent.headers.get("location") ?? "");
    return `${client.gateway.url}${back.pathname}${back.search}`;
  };
  const allow = async (server: string) => {
    const { authorization_url } = await rest("POST", `/v1/mcp/server/${server}/oauth/authorize`);
    return await fetch(await goThere(authorization_url ?? ""));
  };

  test("gets a token with its own credentials, for that server", async () => {
    const { body } = await use("machine");
    expect(body.result?.content).toBeDefined();
    expect(login.asked.at(-1)).toMatchObject({
      grant_type: "client_credentials",
      resource: `${publicUrl}/mcp/fixture`,
    });
  });

  test("is told what to do before anybody allowed it", async () => {
    const { body } = await use("shared");
    expect(body.error?.message).toContain("POST /v1/mcp/server/shared/oauth/authorize");
    expect(await rest("GET", "/v1/mcp/server/shared/oauth")).toMatchObject({ connected: false });
  });

  test("is allowed in a browser, once for all, and answers are good once", async () => {
    const { authorization_url = "" } = await rest("POST", "/v1/mcp/server/shared/oauth/authorize");
    const asks = new URL(authorization_url).searchParams;
    expect(Object.fromEntries(asks)).toMatchObject({
      code_challenge_method: "S256",
      resource: `${publicUrl}/mcp/fixture`,
      redirect_uri: "http://127.0.0.1:1/mcp/oauth/callback",
      scope: "mcp",
    });
    const back = await goThere(authorization_url);
    await fetch(back, { method: "HEAD" }); // a look-ahead must not use it up
    const page = await fetch(back);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("shared")]);
    expect((await fetch(back)).status).toBe(400);
    expect((await use("shared")).body.result?.content).toBeDefined();
    expect(await rest("GET", "/v1/mcp/server/shared/oauth")).toMatchObject({
      connected: true,
      renewable: true,
    });
  });

  test("is allowed by hand before the server is registered, and only until then", async () => {
    const post = async (path: string, body: BodyInit) => {
      const response = await fetch(`${client.gateway.url}${path}`, { method: "POST", body });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    const headers = { "x-trial": "secret-of-later" };
    const url = `${publicUrl}/mcp/fixture`;
    const row = { server_name: "later", url, headers, auth_type: "oauth2" };
    const begun = await post("/v1/mcp/server/oauth/session", JSON.stringify(row));
    expect([begun.status, begun.body["server_id"]]).toEqual([200, "later"]);
    expect(JSON.stringify(await rest("GET", "/v1/mcp/server"))).not.toContain("later");
    const start = `${client.gateway.url}/v1/mcp/server/oauth/later/authorize`;
    const login = (await fetch(start, { redirect: "manual" })).headers.get("location") ?? "";
    const answer = new URL(await goThere(login)).searchParams;
    const token = "/v1/mcp/server/oauth/later/token";
    expect((await post(token, new URLSearchParams({ code: "x" }))).status).toBe(400);
    const ended = await post(token, answer);
    expect(ended).toMatchObject({ status: 200, body: { connected: true, renewable: true } });
    expect(JSON.stringify(ended.body)).not.toContain("token");
    expect((await post(token, answer)).status).toBe(400); // good once
    expect((await post("/v1/mcp/server", JSON.stringify(row))).status).toBe(201);
    expect((await use("later")).body.result?.content).toBeDefined();
    expect((await post("/v1/mcp/server/oauth/session", JSON.stringify(row))).status).toBe(400);
    await rest("DELETE", "/v1/mcp/server/later");
  });

  test("a server without OAuth is not to be allowed", async () => {
    const row = { server_name: "plain", url: `${publicUrl}/mcp/fixture` };
    const path = `${client.gateway.url}/v1/mcp/server/oauth/session`;
    const response = await fetch(path, { method: "POST", body: JSON.stringify(row) });
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining("auth_type"),
    ]);
  });

  test("keeps what it was granted sealed", async () => {
    const { Database } = await import("bun:sqlite");
    const files = [...new Bun.Glob("**/records.db*").scanSync(client.dataDir)];
    expect(files.length).toBeGreaterThan(0);
    const database = new Database(
      `${client.dataDir}/${files.find((file) => file.endsWith(".db"))}`,
      {
        readonly: true,
      },
    );
    const tables = database.query("select name from sqlite_master where type = 'table'").all();
    const rows = tables.flatMap((table) =>
      database.query(`select * from "${(table as { name: string }).name}"`).all(),
    );
    database.close();
    const text = JSON.stringify(rows);
    expect(text).toContain("mcp-oauth");
    expect(text).toContain("mcp-server-trial");
    expect(text).not.toContain("refresh_token");
    expect(text).not.toContain("secret-of-later");
  });

  test("refreshes a token that ended", async () => {
    login.lifeS = -7_200;
    await allow("shared");
    login.lifeS = 3_600;
    const { body } = await use("shared");
    expect(body.result?.content).toBeDefined();
    expect(login.asked.at(-1)).toMatchObject({ grant_type: "refresh_token" });
  });

  test("takes no answer of another authorization server", async () => {
    login.answerIssuer = "https://evil.example";
    const page = await allow("shared");
    login.answerIssuer = login.issuer;
    expect([page.status, await page.text()]).toEqual([
      502,
      expect.stringContaining("another authorization server"),
    ]);
  });

  test("a caller who must allow it himself gets the address", async () => {
    const { body } = await use("own");
    expect(body.error?.code).toBe(-32042);
    const data = body.error?.data as { elicitations: { mode: string; url: string }[] } | undefined;
    const [elicitation] = data?.elicitations ?? [];
    expect(elicitation?.mode).toBe("url");
    expect((await fetch(await goThere(elicitation?.url ?? ""))).status).toBe(200);
    expect((await use("own")).body.result?.content).toBeDefined();
    const gone = await rest("DELETE", "/v1/mcp/server/own/oauth");
    expect(gone).toEqual({ forgotten: true } as never);
  });

  test("registers itself once for each server", () => expect(login.registered.length).toBe(3));
});
