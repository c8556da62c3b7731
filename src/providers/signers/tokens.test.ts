/** Tokens of Google and Entra: got once, renewed in time, refused with a reason and without secrets. */
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import type { TokenGrant } from "../../domain/model.ts";
import type { OutboundRequest } from "../../security/outbound.ts";
import { readIdentityToken } from "./identity-token.ts";
import { createTokenSource } from "./tokens.ts";

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const account = {
  type: "service_account",
  client_email: "robot@p",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  token_uri: "https://oauth2.test/token",
};
const google = (credentials: object | string): TokenGrant => ({
  kind: "google",
  credentials: typeof credentials === "string" ? credentials : JSON.stringify(credentials),
});
const entra: TokenGrant = {
  kind: "entra",
  tokenUrl: "https://login.test/t/oauth2/v2.0/token",
  clientId: "c",
  clientSecret: "hush",
  scope: "s/.default",
};
const never = new AbortController().signal;

function world(answer: (request: OutboundRequest, n: number) => Response | Promise<Response>) {
  const clock = createVirtualClock();
  const seen: OutboundRequest[] = [];
  const outbound = {
    async fetch(request: OutboundRequest) {
      seen.push(request);
      return answer(request, seen.length);
    },
  };
  const readText = async (path: string) => {
    if (path === "/key.json") return JSON.stringify(account);
    throw new Error(`no such file: ${path}`);
  };
  const env = { CI_TOKEN: "a.b.c", GOOGLE_APPLICATION_CREDENTIALS: "/key.json" };
  const options = { outbound, clock, readText, env };
  return { clock, seen, options, source: createTokenSource(options) };
}

const give = (_: OutboundRequest, n: number) =>
  Response.json({ access_token: `t${n}`, expires_in: 3600 });

describe("a token", () => {
  test("is got once for all who wait, serves, is renewed before its end, and got anew after it", async () => {
    const { clock, seen, source } = world(give);
    const grant = google(account);
    const ask = () => source.get(grant, never);
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(["t1", "t1", "t1"]);
    await clock.advance(50 * 60_000);
    expect(await ask()).toBe("t1");
    await clock.advance(6 * 60_000); // within five minutes of its end: the old one serves meanwhile
    expect(await ask()).toBe("t1");
    await clock.advance(0);
    expect(await ask()).toBe("t2");
    await clock.advance(2 * 3600_000);
    expect(await ask()).toBe("t3");
    expect(seen).toHaveLength(3);
    source.forget(grant);
    expect(await ask()).toBe("t4");
  });

  test("a failed renewal is not a call's, as long as the old one serves", async () => {
    const { clock, source } = world((request, n) =>
      n === 2 ? new Response("oops", { status: 500 }) : give(request, n),
    );
    const ask = () => source.get(entra, never);
    await ask();
    await clock.advance(56 * 60_000);
    expect(await ask()).toBe("t1");
    await clock.advance(0);
    expect(await ask()).toBe("t1");
    await clock.advance(0);
    expect(await ask()).toBe("t3");
  });

  test("a caller who hangs up waits no longer, and the others still get it", async () => {
    const gate = Promise.withResolvers<void>();
    const { source } = world(async (request, n) => {
      await gate.promise;
      return give(request, n);
    });
    const controller = new AbortController();
    const gone = source.get(entra, controller.signal).catch((reason: unknown) => reason);
    const other = source.get(entra, never);
    controller.abort("gone");
    expect(await gone).toBe("gone");
    gate.resolve();
    expect(await other).toBe("t1");
  });

  test("one that the operator wrote is used as it is", async () => {
    const { seen, source } = world(give);
    expect(await source.get({ kind: "fixed", token: "own" }, never)).toBe("own");
    expect(seen).toEqual([]);
  });
});

describe("what is asked", () => {
  const formOf = async (grant: TokenGrant) => {
    const { seen, source } = world(give);
    await source.get(grant, never);
    return [seen[0]?.url, Object.fromEntries(new URLSearchParams(String(seen[0]?.body)))] as const;
  };

  test("a service account signs for itself, from text or from a file", async () => {
    for (const credentials of [account, "/key.json"]) {
      const [url, form] = await formOf(google(credentials));
      expect(url).toBe(account.token_uri);
      expect(form["grant_type"]).toBe("urn:ietf:params:oauth:grant-type:jwt-bearer");
      const claims = JSON.parse(
        Buffer.from(String(form["assertion"]).split(".")[1] ?? "", "base64url").toString(),
      );
      expect(claims).toMatchObject({
        iss: "robot@p",
        aud: account.token_uri,
        scope: "https://www.googleapis.com/auth/cloud-platform",
      });
      expect(claims.exp - claims.iat).toBe(3600);
    }
  });

  test("a login of gcloud's, and a service principal", async () => {
    const login = {
      type: "authorized_user",
      client_id: "i",
      client_secret: "s",
      refresh_token: "r",
    };
    expect(await formOf(google(login))).toEqual([
      "https://oauth2.googleapis.com/token",
      { grant_type: "refresh_token", client_id: "i", client_secret: "s", refresh_token: "r" },
    ]);
    expect(await formOf(entra)).toEqual([
      "https://login.test/t/oauth2/v2.0/token",
      {
        grant_type: "client_credentials",
        client_id: "c",
        client_secret: "hush",
        scope: "s/.default",
      },
    ]);
  });
});

describe("a refusal says why, and nothing secret", () => {
  const cases: readonly (readonly [TokenGrant, () => Response, string])[] = [
    [google("/missing.json"), () => Response.json({}), "cannot be read"],
    [google("{oops hush"), () => Response.json({}), "not a JSON object"],
    [
      google({ type: "external_account" }),
      () => Response.json({}),
      '"external_account" are not read',
    ],
    [google({ ...account, private_key: "hush" }), () => Response.json({}), "cannot be used"],
    [google({ ...account, client_email: 3 }), () => Response.json({}), 'no "client_email"'],
    [
      google(account),
      () =>
        Response.json({ error: "invalid_grant", error_description: "Bad JWT" }, { status: 400 }),
      "oauth2.test answered 400: Bad JWT",
    ],
    [entra, () => new Response("<html>", { status: 502 }), "login.test answered 502"],
    [entra, () => Response.json({ access_token: "" }), "login.test answered 200"],
    [entra, () => Response.json([1]), "login.test answered 200"],
  ];
  test.each(cases)("%j", async (grant, answer, why) => {
    const { source } = world(answer);
    const error = await source.get(grant, never).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "upstream_auth" });
    expect(error.message).toContain(why);
    expect(error.message).not.toContain("hush");
  });
});

describe("the account that a machine runs as", () => {
  const host = "metadata.google.internal";
  const flavor = { headers: { "metadata-flavor": "Google" } };
  const grant = (credentials: string, metadataHost = host): TokenGrant => ({
    kind: "google",
    credentials,
    metadataHost,
  });
  const token = { access_token: "ya29.m", expires_in: 3599, token_type: "Bearer" };

  test("is asked where no file is, at the one address that is open for it", async () => {
    const { seen, source } = world(() => Response.json(token, flavor));
    expect(await source.get(grant("/no/such.json"), never)).toBe("ya29.m");
    expect(seen).toMatchObject([
      {
        url: `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`,
        method: "GET",
        trust: "instance",
        headers: { "metadata-flavor": "Google" },
      },
    ]);
  });

  test("a file stands above it; another host is an address like every other", async () => {
    const file = world(give);
    expect(await file.source.get(grant("/key.json"), never)).toBe("t1");
    expect(file.seen[0]?.url).toBe("https://oauth2.test/token");
    const emulated = world(() => Response.json(token, flavor));
    await emulated.source.get(grant("", "localhost:8080"), never);
    expect(emulated.seen[0]?.trust).toBe("operator");
  });

  const failures: readonly (readonly [string, () => Response, string])[] = [
    ["somebody else's service", () => Response.json(token), "not Google's metadata service"],
    ["no account", () => new Response("not found", { status: 404, ...flavor }), "answered 404"],
    [
      "nobody there",
      () => {
        throw new Error("refused");
      },
      "Set vertex_credentials",
    ],
  ];
  test.each(failures)("%s", async (_name, answer, words) => {
    const { source } = world(answer);
    const thrown = await source.get(grant(""), never).catch((error) => error);
    expect([thrown.code, thrown.message]).toEqual([
      "upstream_auth",
      expect.stringContaining(words),
    ]);
  });
});

describe("identities", () => {
  test("Entra ID takes one of another issuer in place of a secret", async () => {
    const { seen, source } = world(give);
    const { clientSecret: _, ...open } = entra as TokenGrant & { kind: "entra" };
    await source.get({ ...open, identity: "oidc/env/CI_TOKEN" }, never);
    const form = Object.fromEntries(new URLSearchParams(String(seen[0]?.body)));
    expect(form).toMatchObject({
      client_assertion: "a.b.c",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    });
    expect(form).not.toHaveProperty("client_secret");
    const lost = source.get({ ...open, identity: "oidc/env/NOBODY" }, never);
    await expect(lost).rejects.toMatchObject({ code: "upstream_auth" });
  });

  test("Google's is a service account's, for an audience", async () => {
    const { seen, options } = world(() => Response.json({ id_token: "id.t.k" }));
    expect(await readIdentityToken("oidc/google/https://aud.test", options)).toBe("id.t.k");
    const assertion = new URLSearchParams(String(seen[0]?.body)).get("assertion") ?? "";
    const claims = JSON.parse(Buffer.from(assertion.split(".")[1] ?? "", "base64url").toString());
    expect(claims).toMatchObject({ target_audience: "https://aud.test" });
    expect(claims).not.toHaveProperty("scope");
  });
});
