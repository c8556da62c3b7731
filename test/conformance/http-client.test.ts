/**
 * What every client behind the guarded way out must do, whatever it is: our own and the runtime's,
 * against servers that are played by hand.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { brotliCompressSync, deflateSync } from "node:zlib";
import { GatewayError } from "../../src/domain/errors.ts";
import { toDestination } from "../../src/security/destination.ts";
import { sendByFetch } from "../../src/security/fetch-reply.ts";
import {
  createOutbound,
  type OutboundOptions,
  type OutboundReply,
} from "../../src/security/outbound.ts";
import { Cancel } from "../../src/std/cancel.ts";
import { systemClock } from "../../src/std/clock.ts";
import { type Peer, type RawUpstream, startRawUpstream } from "../support/raw-upstream.ts";
import { type Answer, cutShort, refused, understood } from "./http1-answers.ts";

const tlsFolder = join(import.meta.dir, "../fixtures/tls");
const cert = await Bun.file(join(tlsFolder, "cert.pem")).text();
const key = await Bun.file(join(tlsFolder, "key.pem")).text();

interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly lines?: string;
  readonly body?: string | Uint8Array;
  readonly cancel?: Cancel;
  readonly connectTimeoutMs?: number;
  readonly host?: string;
  readonly secure?: boolean;
}

type Client = (port: number, ask?: Ask) => Promise<OutboundReply>;

const members = [
  { name: "own", own: true },
  { name: "fetch", own: false },
] as const;

const running: RawUpstream[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((upstream) => upstream.stop()));
});

async function upstream(play: (peer: Peer) => Promise<void> | void): Promise<RawUpstream> {
  const started = await startRawUpstream(play);
  running.push(started);
  return started;
}

function createClient(own: boolean, options: OutboundOptions = {}): Client {
  const outbound = createOutbound({
    client: own ? "own" : "fetch",
    resolve: () => Promise.resolve(["127.0.0.1"]),
    ...options,
  });
  const send = outbound.send ?? ((request) => sendByFetch(outbound.fetch, request));
  return (port, ask = {}) => {
    const { path = "/v1/x", method = "POST", headers = {}, lines = "", body = "{}" } = ask;
    const scheme = ask.secure ? "https" : "http";
    const url = `${scheme}://${ask.host ?? "127.0.0.1"}:${port}${path}`;
    const to = toDestination({ url, method, headers, trust: "operator" });
    return send({
      ...{ to, lines, body, cancel: ask.cancel ?? new Cancel() },
      connectTimeoutMs: ask.connectTimeoutMs ?? 3000,
    });
  };
}

const textOf = (bytes: Uint8Array | ArrayBuffer) => new TextDecoder("latin1").decode(bytes);
const whole = async (reply: OutboundReply) => textOf(await reply.whole(1e8, "refuse"));

async function readOn(reply: OutboundReply): Promise<string> {
  let text = "";
  for (;;) {
    const piece = await reply.read();
    if (!piece) return text;
    text += textOf(piece);
  }
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (thrown) {
    return thrown;
  }
  throw new Error("nothing failed");
}

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

describe.each(members)("$name", ({ own }) => {
  const holds = ({ ownOnly }: Answer) => own || !ownOnly;

  describe("understands", () => {
    test.each(understood.filter(holds))("$name", async (answer) => {
      const { port } = await upstream(async (peer) => {
        for (;;) {
          if ((await peer.request()) === undefined) return;
          await peer.say(answer.wire);
          if (answer.closes) peer.finish();
        }
      });
      const client = createClient(own);
      const method = answer.method ?? "POST";
      const body = method === "POST" ? "{}" : "";
      for (const read of [whole, readOn]) {
        const reply = await client(port, { method, body });
        expect(reply.status).toBe(answer.read?.status ?? 0);
        expect(await read(reply)).toBe(answer.read?.body ?? "");
        for (const [name, value] of Object.entries(answer.read?.headers ?? {})) {
          expect(reply.header(name)).toBe(value);
          expect(reply.headers().get(name)).toBe(value);
        }
        expect(reply.header("x-not-there")).toBeUndefined();
      }
      const { peers } = running[0] as RawUpstream;
      if (own && answer.kept !== undefined) expect(peers.length).toBe(answer.kept ? 1 : 2);
    });
  });

  describe("refuses", () => {
    test.each(refused.filter(holds))("$name", async (answer) => {
      const { port, peers } = await upstream(async (peer) => {
        await peer.request();
        await peer.say(answer.wire);
      });
      const client = createClient(own);
      const thrown = await failureOf(client(port).then(whole));
      expect(thrown).toBeInstanceOf(Error);
      if (own) await peers[0]?.gone; // nothing more is expected of such a server
    });
  });

  describe.each(["finish", "reset"] as const)("takes for no answer, at a %s:", (how) => {
    test.each(cutShort.filter(holds))("$name", async (answer) => {
      const { port } = await upstream(async (peer) => {
        await peer.request();
        await peer.say(answer.wire);
        peer[how]();
      });
      const client = createClient(own);
      for (const read of [whole, readOn]) {
        expect(await failureOf(client(port).then(read))).toBeInstanceOf(Error);
      }
    });
  });

  describe("what goes out", () => {
    test("request line, host, our defaults, the headers, a length, the body", async () => {
      const seen = Promise.withResolvers<string>();
      const { port } = await upstream(async (peer) => {
        seen.resolve((await peer.request()) ?? "");
        await peer.say(ok);
      });
      const client = createClient(own);
      const reply = await client(port, {
        path: "/a/b?c=%20d",
        headers: { "content-type": "application/json", "X-Key": "v" },
        lines: "traceparent: 00-a-b-01\r\n",
        body: '{"a":"ü€"}',
      });
      expect(await whole(reply)).toBe("ok");
      const request = await seen.promise;
      expect(request).toStartWith("POST /a/b?c=%20d HTTP/1.1\r\n");
      const fields = request.toLowerCase();
      for (const line of [
        `host: 127.0.0.1:${port}`,
        "accept-encoding: identity",
        "content-type: application/json",
        "x-key: v",
        "traceparent: 00-a-b-01",
        "content-length: 13",
      ]) {
        expect(fields).toContain(`\r\n${line}\r\n`);
      }
      expect(Buffer.from(request, "latin1").toString("utf8")).toEndWith('\r\n\r\n{"a":"ü€"}');
    });

    test("no body, no length", async () => {
      const seen = Promise.withResolvers<string>();
      const { port } = await upstream(async (peer) => {
        seen.resolve((await peer.request()) ?? "");
        await peer.say(ok);
      });
      await whole(await createClient(own)(port, { method: "GET", body: "" }));
      expect(await seen.promise).not.toMatch(/content-length|transfer-encoding/i);
    });

    const sizes = [1, 1000, 65_535, 65_536, 65_537, 5_000_000] as const;
    test.each(sizes)("a body of %d bytes, as text and as bytes, to a slow reader", async (size) => {
      const lengths: number[] = [];
      const { port } = await upstream(async (peer) => {
        for (;;) {
          peer.socket.pause();
          setTimeout(() => peer.socket.resume(), 5);
          const request = await peer.request();
          if (request === undefined) return;
          const body = request.slice(request.indexOf("\r\n\r\n") + 4);
          lengths.push(/^(abcdefghij)*[a-j]*$/.test(body) ? body.length : -1);
          await peer.say(ok);
        }
      });
      const client = createClient(own);
      const text = "abcdefghij".repeat(Math.ceil(size / 10)).slice(0, size);
      expect(await whole(await client(port, { body: text }))).toBe("ok");
      expect(await whole(await client(port, { body: Buffer.from(text) }))).toBe("ok");
      expect(lengths).toEqual([size, size]);
    });

    test("a server that answers before it has read all is heard", async () => {
      const { port } = await upstream(async (peer) => {
        peer.socket.once("data", () => {
          peer.socket.pause();
          void peer.say("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig");
        });
      });
      const client = createClient(own);
      const reply = await client(port, { body: "x".repeat(20_000_000) });
      expect([reply.status, await whole(reply)]).toEqual([413, "big"]);
    });
  });

  describe("connections", () => {
    const echo = async (peer: Peer) => {
      while ((await peer.request()) !== undefined) await peer.say(ok);
    };

    test("are used again, one after the other", async () => {
      const { port, peers } = await upstream(echo);
      const client = createClient(own);
      for (let i = 0; i < 1000; i++) expect(await whole(await client(port))).toBe("ok");
      expect(peers.length).toBe(1);
    });

    test("1,000 calls at once, twice: all answered, each its own", async () => {
      const { port, peers } = await upstream(async (peer) => {
        for (;;) {
          const request = await peer.request();
          if (request === undefined) return;
          const body = request.slice(request.indexOf("\r\n\r\n") + 4);
          await peer.say(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
        }
      });
      const client = createClient(own);
      const wanted = Array.from({ length: 1000 }, (_, i) => `call ${i}`);
      for (let round = 0; round < 2; round++) {
        const got = await Promise.all(
          wanted.map(async (body) => whole(await client(port, { body }))),
        );
        expect(got).toEqual(wanted);
      }
      if (own) expect(peers.length).toBeLessThanOrEqual(1000);
    });

    // The runtime's client tells its caller, who tries again.
    test.skipIf(!own)("one that dies as a request comes costs nobody a call", async () => {
      for (const how of ["finish", "reset"] as const) {
        const { port, peers } = await upstream(async (peer) => {
          await peer.request();
          await peer.say(ok);
          if (peer.index === 2) return echo(peer);
          await peer.request();
          peer[how]();
        });
        let skewMs = 0;
        const clock = { ...systemClock, now: () => systemClock.now() + skewMs };
        const client = createClient(own, { clock });
        await Promise.all([client(port).then(whole), client(port).then(whole)]);
        skewMs = 2000;
        // Both rest and are about to die; the request goes out once more, on a connection of its own.
        for (let i = 0; i < 4; i++) expect(await whole(await client(port))).toBe("ok");
        expect(peers.length).toBe(3);
      }
    });

    test("one that dies in the middle of its work is told, and the call is not sent again", async () => {
      let requests = 0;
      const { port } = await upstream(async (peer) => {
        for (; ; requests++) {
          if ((await peer.request()) === undefined) return;
          if (requests > 0) return peer.reset();
          await peer.say(ok);
        }
      });
      const client = createClient(own);
      await whole(await client(port));
      const thrown = await failureOf(client(port));
      expect((thrown as GatewayError).code).toBe("upstream_unreachable");
      expect(requests).toBe(1);
    });

    test("one that the server closed at rest is not used", async () => {
      const { port, peers } = await upstream(async (peer) => {
        await peer.request();
        await peer.say(ok);
        peer.finish();
      });
      const client = createClient(own);
      for (let i = 0; i < 5; i++) {
        expect(await whole(await client(port))).toBe("ok");
        await peers[i]?.gone;
      }
      expect(peers.length).toBe(5);
    });

    test("a new one that dies is told, and the call is not sent again", async () => {
      let requests = 0;
      const { port } = await upstream(async (peer) => {
        if ((await peer.request()) !== undefined) requests++;
        peer.reset();
      });
      const thrown = await failureOf(createClient(own)(port));
      expect(thrown).toBeInstanceOf(GatewayError);
      expect((thrown as GatewayError).code).toBe("upstream_unreachable");
      expect(requests).toBe(1);
    });
  });

  describe("cancelled", () => {
    const reason = new GatewayError("caller_gone", "The caller is gone.");

    test("before it is sent: nothing is", async () => {
      const { port, peers } = await upstream(async (peer) => void (await peer.request()));
      const cancel = new Cancel();
      cancel.cancel(reason);
      expect(await failureOf(createClient(own)(port, { cancel }))).toBe(reason);
      expect(peers.length).toBe(0);
    });

    test("while its name is looked up", async () => {
      const cancel = new Cancel();
      const client = createClient(own, { resolve: () => new Promise(() => undefined) });
      const call = client(1, { cancel, host: "slow.test" });
      cancel.cancel(reason);
      expect(await failureOf(call)).toBe(reason);
    });

    test("while the answer is awaited, on a new connection and on a used one", async () => {
      for (const used of [false, true]) {
        const asked = Promise.withResolvers<void>();
        const { port, peers } = await upstream(async (peer) => {
          await peer.request();
          if (used) {
            await peer.say(ok);
            await peer.request();
          }
          asked.resolve();
        });
        const client = createClient(own);
        if (used) await whole(await client(port));
        const cancel = new Cancel();
        const call = client(port, { cancel });
        await asked.promise;
        cancel.cancel(reason);
        expect(await failureOf(call)).toBe(reason);
        await peers[0]?.gone;
      }
    });

    const stages = [
      ["half a head", "HTTP/1.1 200 OK\r\ncontent-"],
      ["half a body", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"],
      ["half a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel"],
      ["an open end", "HTTP/1.1 200 OK\r\n\r\nhel"],
    ] as const;
    test.each(stages)("after %s", async (_stage, wire) => {
      for (const read of [whole, readOn]) {
        const { port, peers } = await upstream(async (peer) => {
          await peer.request();
          await peer.say(wire);
        });
        const cancel = new Cancel();
        const call = createClient(own)(port, { cancel }).then(read);
        call.catch(() => undefined);
        await until(() => peers.length > 0);
        await Bun.sleep(10); // the bytes are on their way to the client
        cancel.cancel(reason);
        expect(await failureOf(call)).toBe(reason);
        await peers[0]?.gone;
      }
    });

    test("after the end: the next call on the connection is not touched", async () => {
      const { port, peers } = await upstream(async (peer) => {
        while ((await peer.request()) !== undefined) {
          await Bun.sleep(5);
          await peer.say(ok);
        }
      });
      const client = createClient(own);
      const first = new Cancel();
      expect(await whole(await client(port, { cancel: first }))).toBe("ok");
      const second = client(port);
      first.cancel(reason);
      expect(await whole(await second)).toBe("ok");
      expect(peers.length).toBe(1);
    });
  });

  describe("bodies in pieces", () => {
    test("come as they come", async () => {
      const { port } = await upstream(async (peer) => {
        await peer.request();
        await peer.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for (const word of ["one", "two", "three"]) {
          await heard.promise;
          heard = Promise.withResolvers<void>();
          await peer.say(`${word.length}\r\n${word}\r\n`);
        }
        await heard.promise;
        await peer.say("0\r\n\r\n");
      });
      let heard = Promise.withResolvers<void>();
      const reply = await createClient(own)(port);
      const words: string[] = [];
      heard.resolve();
      for (;;) {
        const piece = await reply.read();
        if (!piece) break;
        words.push(textOf(piece));
        heard.resolve();
      }
      expect(words).toEqual(["one", "two", "three"]);
      expect(await reply.read()).toBeUndefined();
    });

    test("that nobody reads hold the server up, and memory stays", async () => {
      const size = 100_000_000;
      const { port, peers } = await upstream(async (peer) => {
        await peer.request();
        await peer.say(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
        const block = Buffer.alloc(1_000_000, 97);
        for (let sent = 0; sent < size; sent += block.length) await peer.say(block);
      });
      const reply = await createClient(own)(port);
      const first = await reply.read();
      let read = first?.length ?? 0;
      await until(async () => {
        const before = peers[0]?.socket.bytesWritten ?? 0;
        await Bun.sleep(50);
        return before > 0 && before === peers[0]?.socket.bytesWritten;
      });
      // No more has left than the kernel's buffers and the limit hold.
      expect(peers[0]?.socket.bytesWritten).toBeLessThan(size / 4);
      for (;;) {
        const piece = await reply.read();
        if (!piece) break;
        read += piece.length;
      }
      expect(read).toBe(size);
    });

    test("that are closed in the middle close the connection", async () => {
      const { port, peers } = await upstream(async (peer) => {
        await peer.request();
        await peer.say("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhel");
      });
      const reply = await createClient(own)(port);
      expect(textOf((await reply.read()) ?? new Uint8Array())).toBe("hel");
      reply.close();
      await peers[0]?.gone;
    });

    test("that break off are told after what came before", async () => {
      const { port } = await upstream(async (peer) => {
        await peer.request();
        await peer.say("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhel");
        await Bun.sleep(5);
        peer.reset();
      });
      const reply = await createClient(own)(port);
      expect(textOf((await reply.read()) ?? new Uint8Array())).toBe("hel");
      expect(await failureOf(Promise.resolve(reply.read()))).toBeInstanceOf(Error);
    });
  });

  describe("limits of a whole body", () => {
    const long = "x".repeat(5000);
    const forms = [
      ["with a length", `HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n${long}`],
      [
        "in chunks",
        `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n${long}\r\n0\r\n\r\n`,
      ],
      ["until it closes", `HTTP/1.1 200 OK\r\n\r\n${long}`],
    ] as const;
    test.each(forms)("%s", async (_form, wire) => {
      const { port } = await upstream(async (peer) => {
        while ((await peer.request()) !== undefined) {
          await peer.say(wire);
          if (!/content-length|chunked/.test(wire)) peer.finish();
        }
      });
      const client = createClient(own);
      const ask = async (limit: number, beyond: "cut" | "refuse") =>
        textOf(await (await client(port)).whole(limit, beyond));
      expect(await ask(5000, "refuse")).toBe(long);
      expect(await ask(100, "cut")).toBe(long.slice(0, 100));
      expect(String(await failureOf(ask(4999, "refuse")))).toContain("larger than the limit");
    });
  });

  describe("what comes compressed all the same is unpacked", () => {
    const text = "data: unpacked\n\n".repeat(500);
    const packed = [
      ["gzip", Bun.gzipSync(text)],
      ["deflate", deflateSync(text)],
      ["br", brotliCompressSync(text)],
      ["zstd", Bun.zstdCompressSync(text)],
    ] as const;
    test.each(packed)("%s", async (coding, bytes) => {
      const { port } = await upstream(async (peer) => {
        while ((await peer.request()) !== undefined) {
          const head = `HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\ncontent-length: ${bytes.length}\r\n\r\n`;
          await peer.say(head);
          await peer.say(bytes.subarray(0, 10));
          await Bun.sleep(2);
          await peer.say(bytes.subarray(10));
        }
      });
      const client = createClient(own);
      for (const read of [whole, readOn]) expect(await read(await client(port))).toBe(text);
      const limited = async () => (await client(port)).whole(1000, "refuse");
      expect(String(await failureOf(limited()))).toContain("larger than the limit");
      const cut = await (await client(port)).whole(1000, "cut");
      expect(textOf(cut)).toBe(text.slice(0, 1000));
    });

    test("what is not what it says is told", async () => {
      const { port } = await upstream(async (peer) => {
        while ((await peer.request()) !== undefined) {
          await peer.say(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n\r\nthis is no gzip at a",
          );
        }
      });
      const client = createClient(own);
      expect(await failureOf(client(port).then(whole))).toBeInstanceOf(Error);
    });
  });

  describe("TLS", () => {
    const secureServer = () =>
      Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        tls: { cert, key },
        fetch: async (request) => new Response(`heard ${(await request.text()).length}`),
      });

    test("a certificate that is in order, many times over one connection, large bodies", async () => {
      const server = secureServer();
      const client = createClient(own, { ca: cert });
      const ask = { host: "upstream.test", secure: true } as const;
      for (const size of [2, 100_000, 3_000_000]) {
        const reply = await client(server.port ?? 0, { ...ask, body: "x".repeat(size) });
        expect(await whole(reply)).toBe(`heard ${size}`);
      }
      await server.stop(true);
    });

    const bad = [
      ["a wrong name", "other.test", { ca: cert }],
      ["an unknown authority", "upstream.test", {}],
      ["an address that it does not name", "127.0.0.1", { ca: cert }],
      ["an unknown authority's address", "127.0.0.1", {}],
    ] as const;
    test.each(bad)("%s is refused, before anything is said", async (_name, host, options) => {
      const server = secureServer();
      const client = createClient(own, options);
      const thrown = await failureOf(client(server.port ?? 0, { host, secure: true }));
      expect(thrown).toBeInstanceOf(GatewayError);
      expect((thrown as GatewayError).code).toBe("upstream_unreachable");
      expect((thrown as GatewayError).message).toContain("its TLS certificate is not accepted");
      await server.stop(true);
    });

    test("a server that speaks no TLS", async () => {
      const { port } = await upstream((peer) => {
        peer.socket.once("data", () => void peer.say("HTTP/1.1 400 Bad Request\r\n\r\n"));
      });
      const thrown = await failureOf(
        createClient(own, { ca: cert })(port, { host: "upstream.test", secure: true }),
      );
      expect(thrown).toBeInstanceOf(GatewayError);
    });
  });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
