/** The guarded WebSocket against real servers: the rule for addresses, refusals, back-pressure, ends. */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import type { WebSocketConnection } from "./connection.ts";
import { createWebSocketOutbound, type WebSocketRequest } from "./open.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Talk = Bun.WebSocketHandler<undefined>;

function serve(talk: Partial<Talk>, refuse?: () => Response): string {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, self) {
      if (refuse) return refuse();
      const protocol = request.headers.get("sec-websocket-protocol")?.split(", ")[0];
      const headers = protocol ? { "sec-websocket-protocol": protocol } : {};
      return self.upgrade(request, { headers, data: undefined })
        ? undefined
        : new Response("no", { status: 400 });
    },
    websocket: { message: () => undefined, ...talk },
  });
  closers.push(() => void server.stop(true));
  return `ws://127.0.0.1:${server.port}/talk?a=b`;
}

/** A server of raw bytes: what it says to the first piece it hears. */
function serveRaw(say: (socket: Bun.Socket<undefined>, heard: string) => void): string {
  const server = Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket, bytes) => say(socket, bytes.toString()) },
  });
  closers.push(() => server.stop(true));
  return `http://127.0.0.1:${server.port}/`;
}

const request = (url: string, more: Partial<WebSocketRequest> = {}): WebSocketRequest => ({
  url,
  headers: {},
  trust: "operator",
  limitBytes: 1_000_000,
  connectTimeoutMs: 2_000,
  answerTimeoutMs: 2_000,
  ...more,
});

async function open(
  url: string,
  more: Partial<WebSocketRequest> = {},
): Promise<WebSocketConnection> {
  const opened = await createWebSocketOutbound().open(request(url, more));
  if (opened instanceof Response) throw new Error(`refused with ${opened.status}`);
  closers.push(opened.destroy);
  return opened;
}

const text = (value: string) => ({ text: true, bytes: Buffer.from(value) });
const said = (message: { readonly bytes: Uint8Array } | undefined) =>
  message && Buffer.from(message.bytes).toString();

describe("messages", () => {
  test("both ways, text and binary, large and small, with subprotocol and headers", async () => {
    const url = serve({ message: (ws, message) => void ws.send(message) });
    const socket = await open(url, {
      protocols: ["realtime"],
      headers: { authorization: "Bearer k" },
    });
    expect(socket.protocol).toBe("realtime");
    for (const size of [0, 5, 200, 70_000, 900_000]) {
      socket.send({ text: size % 2 === 0, bytes: Buffer.alloc(size, "y") });
      const back = await socket.read();
      expect([back?.text, back?.bytes.length]).toEqual([size % 2 === 0, size]);
    }
  });

  test("what was said before the end can be read after it", async () => {
    const url = serve({
      open(ws) {
        ws.send("one");
        ws.send("two");
        ws.close(4005, "enough");
      },
    });
    const socket = await open(url);
    expect([said(await socket.read()), said(await socket.read()), await socket.read()]).toEqual([
      "one",
      "two",
      undefined,
    ]);
    expect(socket.ended).toEqual({ code: 4005, reason: "enough" });
  });

  test("our close reaches the server with its code", async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const url = serve({ close: (_ws, code, reason) => resolve([code, reason]) });
    const socket = await open(url);
    socket.close(4001, "bye");
    expect(await promise).toEqual([4001, "bye"]);
    expect(await socket.read()).toBeUndefined();
  });

  test("a server that is cut off ends it with 1006, a destroyed one hears of it at once", async () => {
    const url = serve({ open: (ws) => ws.terminate() });
    const socket = await open(url);
    expect(await socket.read()).toBeUndefined();
    expect(socket.ended?.code).toBe(1006);
    const { promise, resolve } = Promise.withResolvers<number>();
    const other = await open(serve({ close: (_ws, code) => resolve(code) }));
    other.destroy();
    expect(await promise).toBe(1006);
  });

  test("a message beyond the limit closes with 1009", async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const url = serve({
      open: (ws) => void ws.send("x".repeat(5_000)),
      close: (_ws, code) => resolve(code),
    });
    const socket = await open(url, { limitBytes: 4_000 });
    expect(await socket.read()).toBeUndefined();
    expect([socket.ended?.code, await promise]).toEqual([1009, 1009]);
  });
});

describe("back-pressure", () => {
  test("a reader that waits stops the server, and then gets everything", async () => {
    const piece = "z".repeat(100_000);
    let sent = 0;
    let blocked = false;
    const pump = (ws: Bun.ServerWebSocket<undefined>) => {
      while (sent < 300) {
        sent++;
        if (ws.send(piece) === -1) {
          blocked = true;
          return;
        }
      }
    };
    const socket = await open(serve({ open: pump, drain: pump }));
    const first = await socket.read();
    expect(first?.bytes.length).toBe(100_000);
    while (!blocked) await Bun.sleep(1);
    expect(sent).toBeLessThan(300);
    let count = 1;
    for (; count < 300; count++) await socket.read();
    expect(sent).toBe(300);
  });

  test("a writer is told to wait, and when to go on", async () => {
    let server: Bun.ServerWebSocket<undefined> | undefined;
    let heard = 0;
    const url = serve({
      open(ws) {
        server = ws;
        ws.pause();
      },
      message: () => {
        heard++;
      },
    });
    const socket = await open(url);
    const bytes = Buffer.alloc(100_000);
    let sent = 0;
    while (socket.send({ text: false, bytes })) {
      if (++sent > 1_000) throw new Error("nobody says to wait");
      await Bun.sleep(0);
    }
    const drained = socket.drained();
    server?.resume();
    await drained;
    socket.send(text("last"));
    while (heard < sent + 2) await Bun.sleep(1);
  });
});

describe("over TLS", () => {
  const folder = join(import.meta.dir, "../../../test/fixtures/tls");
  const openAt = async (host: string, trusted: boolean) => {
    const [cert, key] = await Promise.all(
      ["cert.pem", "key.pem"].map((name) => Bun.file(join(folder, name)).text()),
    );
    const server = Bun.serve<undefined>({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert: cert ?? "", key: key ?? "" },
      fetch: (asked, self) =>
        self.upgrade(asked, { data: undefined }) ? undefined : new Response("no"),
      websocket: { message: () => undefined, open: (ws) => void ws.send("secret") },
    });
    closers.push(() => void server.stop(true));
    const outbound = createWebSocketOutbound({
      resolve: async () => ["127.0.0.1"],
      ...(trusted && cert ? { ca: cert } : {}),
    });
    return outbound.open(request(`wss://${host}:${server.port}/`)).catch((error) => error);
  };

  test("the certificate is checked against the name, and has to be trusted", async () => {
    const socket = (await openAt("upstream.test", true)) as WebSocketConnection;
    closers.push(socket.destroy);
    expect(said(await socket.read())).toBe("secret");
    for (const [host, trusted] of [
      ["other.test", true],
      ["upstream.test", false],
    ] as const) {
      const thrown = await openAt(host, trusted);
      expect([host, thrown.code]).toEqual([host, "upstream_unreachable"]);
    }
  });
});

describe("refusals", () => {
  const refused = async (url: string, more: Partial<WebSocketRequest> = {}) => {
    const thrown = await createWebSocketOutbound()
      .open(request(url, more))
      .catch((error) => error);
    return thrown instanceof GatewayError ? thrown.code : thrown;
  };

  test("a server's own answer comes back, its body too", async () => {
    const url = serve({}, () =>
      Response.json({ error: { message: "no" } }, { status: 429, headers: { "retry-after": "7" } }),
    );
    const answer = await createWebSocketOutbound().open(request(url));
    expect(answer).toBeInstanceOf(Response);
    const response = answer as Response;
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "7"]);
    expect(await response.json()).toEqual({ error: { message: "no" } });
  });

  test("metadata addresses, private ones by request, other schemes, names that lead there", async () => {
    expect(await refused("ws://169.254.169.254/")).toBe("address_refused");
    expect(await refused("ws://[::ffff:169.254.169.254]/")).toBe("address_refused");
    expect(await refused("ws://127.0.0.1:1/", { trust: "strict" })).toBe("address_refused");
    expect(await refused("ftp://example.com/")).toBe("address_refused");
    const outbound = createWebSocketOutbound({
      resolve: async () => ["93.184.216.34", "10.0.0.1"],
    });
    const thrown = await outbound
      .open(request("wss://example.com/", { trust: "strict" }))
      .catch((e) => e);
    expect(thrown.code).toBe("address_refused");
  });

  test("connects to the address that was checked, and says the name", async () => {
    const hosts: string[] = [];
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        hosts.push(request.headers.get("host") ?? "");
        return new Response("no", { status: 400 });
      },
    });
    closers.push(() => void server.stop(true));
    let asked = 0;
    const outbound = createWebSocketOutbound({
      // Another answer the second time: a name that is bound anew.
      resolve: async () => (asked++ === 0 ? ["127.0.0.1"] : ["169.254.169.254"]),
    });
    await outbound.open(request(`ws://models.example:${server.port}/`));
    expect([asked, hosts]).toEqual([1, [`models.example:${server.port}`]]);
  });

  test("nobody there, and nobody who answers", async () => {
    const gone = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const { port } = gone;
    gone.stop(true);
    expect(await refused(`ws://127.0.0.1:${port}/`)).toBe("upstream_unreachable");
    const silent = serveRaw(() => undefined);
    expect(await refused(silent, { answerTimeoutMs: 30 })).toBe("upstream_timeout");
    const controller = new AbortController();
    const waiting = createWebSocketOutbound().open(request(silent, { signal: controller.signal }));
    controller.abort(new Error("left"));
    expect(waiting).rejects.toThrow("left");
  });

  test("the second address is tried where the first takes no connection", async () => {
    const url = new URL(serve({ open: (ws) => void ws.send("hi") }));
    const outbound = createWebSocketOutbound({ resolve: async () => ["127.0.0.2", "127.0.0.1"] });
    const opened = await outbound.open(request(`ws://twice.example:${url.port}/`));
    expect(opened).not.toBeInstanceOf(Response);
    const socket = opened as WebSocketConnection;
    closers.push(socket.destroy);
    expect(said(await socket.read())).toBe("hi");
  });

  const lies: readonly (readonly [string, string])[] = [
    ["no HTTP", "HELLO\r\n\r\n"],
    ["101 without a key", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"],
    ["101 to something else", "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"],
    ["endless headers", `HTTP/1.1 101 x\r\n${"a: b\r\n".repeat(10_000)}`],
  ];
  test.each(lies)("%s", async (_name, answer) => {
    const url = serveRaw((socket) => void socket.write(answer));
    expect(await refused(url)).toBe("upstream_invalid");
  });

  test("a header cannot break out of its line", async () => {
    const url = serveRaw(() => undefined);
    const thrown = await createWebSocketOutbound()
      .open(request(url, { headers: { "x-a": "b\r\nx-c: d" } }))
      .catch((error) => error);
    expect(thrown).toBeInstanceOf(TypeError);
  });
});
