/**
 * An authorization server for tests, as strict as real ones: registered clients and addresses, PKCE,
 * codes and refresh tokens that are good once, audiences by resource indicator, signed tokens.
 */
import { createHash } from "node:crypto";

export interface OauthServer {
  readonly issuer: string;
  /** A signed access token with these claims over the usual ones. */
  token(claims?: object, header?: object): Promise<string>;
  /** An opaque one, for introspection. */
  opaque(claims: object): string;
  /** From now on other keys sign. */
  rotateKeys(): Promise<void>;
  /** Every token request's form, in order. */
  readonly asked: readonly Readonly<Record<string, string>>[];
  readonly registered: readonly object[];
  /** How often its keys were fetched. */
  readonly keyFetches: number;
  /** What `iss` the answer to the browser carries; undefined: none. */
  answerIssuer: string | undefined;
  /** Seconds that new tokens live. */
  lifeS: number;
  scopeGranted: string | undefined;
  close(): Promise<void>;
}

interface Code {
  readonly client: string;
  readonly redirect: string;
  readonly challenge: string;
  readonly resource: string;
  readonly scope: string;
}

export async function startOauthServer(): Promise<OauthServer> {
  const clients = new Map<string, { secret: string; redirects: readonly string[] }>([
    ["machine", { secret: "machine-secret", redirects: [] }],
  ]);
  const codes = new Map<string, Code>();
  const refreshes = new Map<string, Code>();
  const opaques = new Map<string, object>();
  const asked: Record<string, string>[] = [];
  const registered: object[] = [];
  let keys = await createKeys();
  let keyFetches = 0;

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const url = new URL(request.url);
      const found = routes[url.pathname];
      return found ? await found(request, url) : new Response("none", { status: 404 });
    },
  });
  const issuer = `http://127.0.0.1:${server.port}`;

  async function token(claims: object = {}, header: object = {}): Promise<string> {
    const nowS = Math.floor(Date.now() / 1000);
    const usual = { iss: issuer, sub: "ann", iat: nowS, exp: nowS + state.lifeS };
    return await sign(keys, { typ: "at+jwt", ...header }, { ...usual, ...claims });
  }

  async function grant(code: Code, withRefresh: boolean): Promise<Response> {
    const scope = state.scopeGranted ?? code.scope;
    const access = await token({ aud: code.resource, scope, client_id: code.client });
    const refresh = crypto.randomUUID();
    if (withRefresh) refreshes.set(refresh, code);
    return Response.json({
      access_token: access,
      token_type: "Bearer",
      expires_in: state.lifeS,
      scope,
      ...(withRefresh ? { refresh_token: refresh } : {}),
    });
  }

  const refuse = (error: string, status = 400) => Response.json({ error }, { status });

  function clientOf(request: Request, form: URLSearchParams): string | undefined {
    const [, basic] = /^Basic (.+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
    const [id, secret] = basic
      ? atob(basic).split(":").map(decodeURIComponent)
      : [form.get("client_id") ?? "", form.get("client_secret") ?? ""];
    const known = clients.get(id ?? "");
    return known && known.secret === secret ? id : undefined;
  }

  const routes: Record<string, (request: Request, url: URL) => Response | Promise<Response>> = {
    "/.well-known/oauth-authorization-server": () =>
      Response.json({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        registration_endpoint: `${issuer}/register`,
        jwks_uri: `${issuer}/jwks`,
        response_types_supported: ["code"],
        grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: ["client_secret_basic"],
        authorization_response_iss_parameter_supported: state.answerIssuer !== undefined,
      }),
    "/jwks": () => {
      keyFetches++;
      return Response.json({ keys: [keys.jwk] });
    },
    "/register": async (request) => {
      const body = (await request.json()) as { redirect_uris: string[] };
      registered.push(body);
      const id = crypto.randomUUID();
      clients.set(id, { secret: `s-${id}`, redirects: body.redirect_uris });
      const made = {
        ...body,
        client_id: id,
        client_secret: `s-${id}`,
        client_secret_expires_at: 0,
      };
      return Response.json(made, { status: 201 });
    },
    "/authorize": (_, { searchParams: asks }) => {
      const client = asks.get("client_id") ?? "";
      const redirect = asks.get("redirect_uri") ?? "";
      const isKnown = clients.get(client)?.redirects.includes(redirect);
      if (!isKnown || asks.get("code_challenge_method") !== "S256")
        return refuse("invalid_request");
      const code = crypto.randomUUID();
      codes.set(code, {
        client,
        redirect,
        challenge: asks.get("code_challenge") ?? "",
        resource: asks.get("resource") ?? "",
        scope: asks.get("scope") ?? "",
      });
      const back = new URL(redirect);
      back.searchParams.set("code", code);
      back.searchParams.set("state", asks.get("state") ?? "");
      if (state.answerIssuer !== undefined) back.searchParams.set("iss", state.answerIssuer);
      return Response.redirect(back.href, 302);
    },
    "/token": async (request) => {
      const form = new URLSearchParams(await request.text());
      asked.push(Object.fromEntries(form));
      const client = clientOf(request, form);
      if (client === undefined) return refuse("invalid_client", 401);
      const kind = form.get("grant_type");
      const resource = form.get("resource") ?? "";
      if (kind === "client_credentials") {
        const scope = form.get("scope") ?? "";
        return grant({ client, redirect: "", challenge: "", resource, scope }, false);
      }
      const isCode = kind === "authorization_code";
      const store = isCode ? codes : refreshes;
      const given = form.get(isCode ? "code" : "refresh_token") ?? "";
      const held = store.get(given);
      store.delete(given); // good once
      if (!held || held.client !== client) return refuse("invalid_grant");
      if (isCode) {
        const verifier = form.get("code_verifier") ?? "";
        const made = createHash("sha256").update(verifier).digest("base64url");
        if (made !== held.challenge || form.get("redirect_uri") !== held.redirect) {
          return refuse("invalid_grant");
        }
      }
      return grant({ ...held, resource: resource || held.resource }, true);
    },
    "/introspect": async (request) => {
      const form = new URLSearchParams(await request.text());
      if (clientOf(request, form) === undefined) return refuse("invalid_client", 401);
      const claims = opaques.get(form.get("token") ?? "");
      return Response.json(claims ? { active: true, ...claims } : { active: false });
    },
  };

  const state: OauthServer = {
    issuer,
    token,
    opaque(claims) {
      const made = `opaque-${crypto.randomUUID()}`;
      opaques.set(made, claims);
      return made;
    },
    async rotateKeys() {
      keys = await createKeys();
    },
    asked,
    registered,
    get keyFetches() {
      return keyFetches;
    },
    answerIssuer: issuer,
    lifeS: 3_600,
    scopeGranted: undefined,
    close: () => server.stop(true),
  };
  return state;
}

interface Keys {
  readonly key: CryptoKey;
  readonly jwk: object;
}

async function createKeys(): Promise<Keys> {
  const params = { name: "ECDSA", namedCurve: "P-256" };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(params, true, [
    "sign",
    "verify",
  ]);
  const jwk = await crypto.subtle.exportKey("jwk", publicKey);
  return { key: privateKey, jwk: { ...jwk, kid: crypto.randomUUID(), use: "sig", alg: "ES256" } };
}

async function sign({ key, jwk }: Keys, header: object, claims: object): Promise<string> {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const kid = (jwk as { kid: string }).kid;
  const text = `${part({ alg: "ES256", kid, ...header })}.${part(claims)}`;
  const made = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, Buffer.from(text));
  return `${text}.${Buffer.from(made).toString("base64url")}`;
}
