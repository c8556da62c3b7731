/** The guarded way out, against real servers: pinning, TLS by name, redirects, deadlines, failover. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { GatewayError } from "../domain/errors.ts";
import { Cancel } from "../std/cancel.ts";
import { systemClock } from "../std/clock.ts";
import { toDestination } from "./destination.ts";
import {
  createOutbound,
  type Outbound,
  type OutboundOptions,
  type OutboundRequest,
} from "./outbound.ts";
import type { Resolve } from "./resolve.ts";
import type { Trust } from "./ssrf.ts";

const tlsFolder = join(import.meta.dir, "../../test/fixtures/tls");
const cert = await Bun.file(join(tlsFolder, "cert.pem")).text();
const key = await Bun.file(join(tlsFolder, "key.pem")).text();

type Server = ReturnType<typeof Bun.serve>;
let plain: Server;
let secure: Server;
let http2: Http2SecureServer;
const callerPorts = new Set<number>();
let aborted = Promise.withResolvers<void>();

function answer(request: Request, server: Server): Response | Promise<Response> {
  callerPorts.add(server.requestIP(request)?.port ?? 0);
  const { pathname, search } = new URL(request.url);
  if (pathname === "/redirect") return Response.redirect("http://169.254.169.254/latest", 302);
  if (pathname === "/silent") {
    request.signal.addEventListener("abort", () => aborted.resolve());
    return new Promise(() => undefined);
  }
  if (pathname === "/gzip") {
    const body = Bun.gzipSync("unpacked");
    return new Response(body, { headers: { "content-encoding": "gzip" } });
  }
  return Response.json({
    host: request.headers.get("host"),
    accept: request.headers.get("accept-encoding"),
    agent: request.headers.get("user-agent"),
    path: pathname + search,
  });
}

beforeAll(async () => {
  const common = { port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: answer } as const;
  plain = Bun.serve(common);
  secure = Bun.serve({ ...common, tls: { cert, key } });
  http2 = createSecureServer({ cert, key }, (request, response) => {
    response.end(JSON.stringify({ version: request.httpVersion, authority: request.authority }));
  });
  await new Promise<void>((resolve) => http2.listen(0, "127.0.0.1", resolve));
});

afterAll(async () => {
  await plain.stop(true);
  await secure.stop(true);
  http2.close();
});

const local: Resolve = () => Promise.resolve(["127.0.0.1"]);

async function check(
  url: string,
  options: OutboundOptions = {},
  more: Partial<OutboundRequest> = {},
): Promise<Response> {
  const outbound = createOutbound({ resolve: local, ...options });
  return outbound.fetch({ url, method: "GET", headers: {}, trust: "operator", ...more });
}

type Way = (
  outbound: Outbound,
  request: { readonly url: string; readonly trust: Trust; readonly connectTimeoutMs?: number },
) => Promise<{ readonly status: number }>;

/** Both ways out; a third would be tested by standing here. */
const ways: readonly { readonly name: string; readonly ask: Way }[] = [
  {
    name: "fetch",
    ask: (outbound, request) => outbound.fetch({ ...request, method: "GET", headers: {} }),
  },
  {
    name: "send",
    async ask(outbound, { connectTimeoutMs, ...request }) {
      const to = toDestination({ ...request, method: "GET", headers: {} });
      const limit = connectTimeoutMs === undefined ? {} : { connectTimeoutMs };
      const reply = await outbound.send?.({
        to,
        lines: "",
        body: "",
        cancel: new Cancel(),
        ...limit,
      });
      if (!reply) throw new Error("this outbound has no client of its own");
      await reply.whole(1e6, "refuse");
      return reply;
    },
  },
];

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (thrown) {
    if (thrown instanceof GatewayError) return `${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
  return "no error";
}

describe("the connection goes to the checked address, under its name", () => {
  test("http: the Host header names it", async () => {
    const reply = await check(`http://upstream.test:${plain.port}/a/b?c=%20d`);
    expect(await reply.json()).toEqual({
      host: `upstream.test:${plain.port}`,
      accept: "identity",
      agent: expect.stringMatching(/^routeiq\//),
      path: "/a/b?c=%20d",
    });
  });

  test("an operator's own Host header stands", async () => {
    const url = `http://127.0.0.1:${plain.port}/`;
    const reply = await check(url, {}, { headers: { host: "vllm.internal" } });
    expect(await reply.json()).toMatchObject({ host: "vllm.internal" });
  });

  test("https: the certificate is checked against the name", async () => {
    const url = `https://upstream.test:${secure.port}/`;
    const reply = await check(url, { ca: cert });
    expect(await reply.json()).toMatchObject({ host: `upstream.test:${secure.port}` });
    expect(await refusal(check(`https://other.test:${secure.port}/`, { ca: cert }))).toBe(
      "upstream_unreachable: The server at other.test cannot be reached: " +
        "its TLS certificate is not accepted (ERR_TLS_CERT_ALTNAME_INVALID).",
    );
    expect(await refusal(check(url))).toContain("its TLS certificate is not accepted");
  });

  test("http2 is spoken where the server can, and HTTP/1.1 where it cannot", async () => {
    const { port } = http2.address() as AddressInfo;
    const two = await check(`https://upstream.test:${port}/`, { ca: cert, protocol: "http2" });
    expect(await two.json()).toEqual({ version: "2.0", authority: `upstream.test:${port}` });
    const one = await check(`https://upstream.test:${secure.port}/`, {
      ca: cert,
      protocol: "http2",
    });
    expect(one.status).toBe(200);
  });

  test("connections are kept and used again", async () => {
    for (const [base, options] of [
      [`http://upstream.test:${plain.port}`, {}],
      [`https://upstream.test:${secure.port}`, { ca: cert }],
    ] as const) {
      const outbound = createOutbound({ resolve: local, ...options });
      callerPorts.clear();
      for (let i = 0; i < 20; i++) {
        const url = `${base}/${i}`;
        await (await outbound.fetch({ url, method: "GET", headers: {}, trust: "operator" })).text();
      }
      expect(callerPorts.size).toBe(1);
    }
  });

  test("a body and its headers go along", async () => {
    const seen = Promise.withResolvers<[string, string | null]>();
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        seen.resolve([await request.text(), request.headers.get("x-a")]);
        return new Response("ok");
      },
    });
    const body = new TextEncoder().encode('{"a":1}');
    const url = `http://127.0.0.1:${server.port}/`;
    await check(url, {}, { method: "POST", body, headers: { "x-a": "b" } });
    expect(await seen.promise).toEqual(['{"a":1}', "b"]);
    await server.stop(true);
  });

  test("what comes compressed all the same is unpacked", async () => {
    expect(await (await check(`http://upstream.test:${plain.port}/gzip`)).text()).toBe("unpacked");
  });
});

describe.each(ways)("what is refused, by $name", ({ ask }) => {
  const resolvesTo = (...addresses: string[]): OutboundOptions => ({
    resolve: () => Promise.resolve(addresses),
  });
  const cases: readonly (readonly [
    string,
    OutboundOptions,
    { readonly trust?: Trust; readonly connectTimeoutMs?: number },
    string,
  ])[] = [
    [
      "a name that leads to loopback",
      resolvesTo("127.0.0.1"),
      { trust: "strict" },
      "address_refused: The address a.test is refused: it leads to a loopback address.",
    ],
    [
      "one bad address among good ones",
      resolvesTo("8.8.8.8", "10.0.0.1"),
      { trust: "strict" },
      "address_refused: The address a.test is refused: it leads to a private address.",
    ],
    [
      "metadata, even when the operator wrote it",
      resolvesTo("169.254.169.254"),
      {},
      "address_refused: The address a.test is refused: it is a metadata service.",
    ],
    [
      "metadata, even when opened",
      { ...resolvesTo("fd00:ec2::254"), allowHosts: ["a.test"], allowCidrs: ["::/0"] },
      { trust: "strict" },
      "address_refused: The address a.test is refused: it is a metadata service.",
    ],
    [
      "a name without an address",
      resolvesTo(),
      {},
      "upstream_unreachable: The server at a.test cannot be reached: its name has no address.",
    ],
    [
      "a resolver that lies",
      resolvesTo("not-an-address"),
      {},
      "upstream_unreachable: The server at a.test cannot be reached: its name resolves to something that is no address.",
    ],
    [
      "a resolver that fails",
      { resolve: () => Promise.reject(new Error("SERVFAIL")) },
      {},
      "upstream_unreachable: The server at a.test cannot be reached: its name does not resolve.",
    ],
    [
      "a resolver that hangs",
      { resolve: () => new Promise(() => undefined) },
      { connectTimeoutMs: 5 },
      "upstream_timeout: The server at a.test cannot be reached: its name was not resolved within 5 ms.",
    ],
  ];
  test.each(cases)("%s", async (_name, options, more, expected) => {
    const request = { url: "http://a.test/", trust: "operator", ...more } as const;
    expect(await refusal(ask(createOutbound(options), request))).toBe(expected);
  });

  test("forms of URLs do not share a route", async () => {
    const outbound = createOutbound({ resolve: local });
    const call = (url: string) => ask(outbound, { url, trust: "strict" });
    for (const url of [
      "http:/10.0.0.1/x",
      "http:///10.0.0.1/x",
      "http:\\\\10.0.0.1\\x",
      "http://8.8.8.8@10.0.0.1/",
      "HTTP://10.0.0.1",
    ]) {
      expect(await refusal(call(url))).toStartWith(
        "address_refused: The address 10.0.0.1 is refused",
      );
    }
  });

  test("an opened range lets strict trust through", async () => {
    const url = `http://a.test:${plain.port}/`;
    for (const opened of [{ allowCidrs: ["127.0.0.0/8"] }, { allowHosts: ["a.test"] }]) {
      const outbound = createOutbound({ resolve: local, ...opened });
      expect((await ask(outbound, { url, trust: "strict" })).status).toBe(200);
    }
  });
});

describe.each(ways)("names that change their mind, by $name", ({ ask }) => {
  test("a rebinding name cannot move a connection to another address", async () => {
    const answers = [["127.0.0.1"], ["169.254.169.254"]];
    let asked = 0;
    let nowMs = 0;
    const renewed = Promise.withResolvers<void>();
    const outbound = createOutbound({
      clock: { ...systemClock, now: () => nowMs },
      resolve: () => {
        const answer = answers[Math.min(asked++, 1)] ?? [];
        if (asked > 1) setImmediate(() => renewed.resolve());
        return Promise.resolve(answer);
      },
    });
    const call = () => ask(outbound, { url: `http://re.test:${plain.port}/`, trust: "operator" });
    expect((await call()).status).toBe(200);
    expect((await call()).status).toBe(200);
    expect(asked).toBe(1);
    nowMs = 60_000; // aged: the checked address still serves while the name is asked again
    expect((await call()).status).toBe(200);
    await renewed.promise;
    expect(await refusal(call())).toContain("it is a metadata service");
  });

  test("a redirect is the answer, and not followed", async () => {
    const url = `http://upstream.test:${plain.port}/redirect`;
    const reply = await ask(createOutbound({ resolve: local }), { url, trust: "operator" });
    expect(reply.status).toBe(302);
  });

  test("many calls at once ask the resolver once", async () => {
    let asked = 0;
    const gate = Promise.withResolvers<void>();
    const outbound = createOutbound({
      resolve: async () => {
        asked++;
        await gate.promise;
        return ["127.0.0.1"];
      },
    });
    const url = `http://once.test:${plain.port}/`;
    const calls = Array.from({ length: 10 }, () => ask(outbound, { url, trust: "operator" }));
    gate.resolve();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(asked).toBe(1);
  });
});

describe("connections that do not come about", () => {
  /** A port where nobody listens. */
  async function closedPort(): Promise<number> {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { port } = server;
    await server.stop(true);
    return port ?? 0;
  }

  test.each(ways)("a refused connection is told as such, by $name", async ({ ask }) => {
    const url = `http://127.0.0.1:${await closedPort()}/`;
    expect(await refusal(ask(createOutbound(), { url, trust: "operator" }))).toBe(
      "upstream_unreachable: The server at 127.0.0.1 cannot be reached: it refuses the connection.",
    );
  });

  test.each(ways)("the next address is tried, and remembered, by $name", async ({ ask }) => {
    const outbound = createOutbound({ resolve: () => Promise.resolve(["127.0.0.9", "127.0.0.1"]) });
    const request = { url: `http://two.test:${plain.port}/`, trust: "operator" } as const;
    expect((await ask(outbound, request)).status).toBe(200);
    expect((await ask(outbound, request)).status).toBe(200);
  });

  test("an address that swallows packets is given up within the limit", async () => {
    const probed: string[] = [];
    const probe = (address: string) => {
      probed.push(address);
      return Promise.resolve(false);
    };
    const url = `http://127.0.0.1:${plain.port}/silent`;
    expect(await refusal(check(url, { probe }, { connectTimeoutMs: 20 }))).toBe(
      "upstream_timeout: The server at 127.0.0.1 cannot be reached: it took no connection within 20 ms.",
    );
    expect(probed).toEqual(["127.0.0.1"]);
  });

  test("a connected server may take its time; the caller's signal ends it, with its reason", async () => {
    aborted = Promise.withResolvers<void>();
    const caller = new AbortController();
    const probed = Promise.withResolvers<void>();
    const probe = () => {
      probed.resolve();
      return Promise.resolve(true);
    };
    const url = `http://127.0.0.1:${plain.port}/silent`;
    const call = check(url, { probe }, { connectTimeoutMs: 20, signal: caller.signal });
    await probed.promise;
    const reason = new Error("caller hung up");
    caller.abort(reason);
    expect(await call.catch((thrown: unknown) => thrown)).toBe(reason);
    await aborted.promise;
  });

  test("behind a proxy nothing is probed", async () => {
    const caller = new AbortController();
    const reason = new Error("enough");
    const url = `http://127.0.0.1:${plain.port}/silent`;
    const options = { proxied: true, probe: () => Promise.resolve(false) };
    const call = check(url, options, { connectTimeoutMs: 10, signal: caller.signal });
    setTimeout(() => caller.abort(reason), 40); // past the limit at which a probe would end it
    expect(await call.catch((thrown: unknown) => thrown)).toBe(reason);
  });

  test("a signal that has aborted already opens nothing", async () => {
    const reason = new Error("too late");
    const call = check("http://a.test/", {}, { signal: AbortSignal.abort(reason) });
    expect(await call.catch((thrown: unknown) => thrown)).toBe(reason);
  });
});
