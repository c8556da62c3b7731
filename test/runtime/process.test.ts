/** `serve` as a process: its fetch limit, its signals, its port, its refusals. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  completion,
  endEvents,
  type StreamServer,
  sse,
  startStreamServer,
  tokenEvent,
} from "../support/stream-server.ts";

const main = join(import.meta.dir, "..", "..", "src", "main.ts");
let folder: string;
let upstream: StreamServer;
/** Ends every stream that is open. */
let finish: () => void = () => undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "routeiq-process-"));
  const open: (() => void)[] = [];
  finish = () => {
    for (const end of open.splice(0)) end();
  };
  upstream = startStreamServer(({ body }) =>
    body.stream
      ? sse((send, close) => {
          send(tokenEvent("first"));
          open.push(() => {
            send(endEvents);
            close();
          });
        })
      : completion(),
  );
  writeConfig("one");
});
const running: Served[] = [];
afterEach(async () => {
  finish();
  for (const served of running.splice(0)) {
    served.child.kill("SIGKILL");
    await served.child.exited;
  }
});
afterAll(async () => {
  await upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

function writeConfig(...models: readonly string[]): void {
  const rows = models.map(
    (name) =>
      `  - {model_name: ${name}, litellm_params: {model: openai/${name}, api_key: k, api_base: "${upstream.base}"}}`,
  );
  writeFileSync(join(folder, "config.yaml"), `model_list:\n${rows.join("\n")}\n`);
}

interface Served {
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly url: string;
  /** What it wrote so far, both outputs. */
  text(): string;
  /** Resolves when the outputs hold this. */
  says(words: string): Promise<void>;
}

function spawn(args: readonly string[], env: Record<string, string> = {}) {
  return Bun.spawn([process.execPath, main, "serve", ...args], {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function serve(
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Served> {
  const port = args.includes("--port") ? [] : ["--port", "0"];
  const child = spawn([...port, "--data-dir", join(folder, "data"), ...args], env);
  let text = "";
  const listeners = new Set<() => void>();
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const bytes of stream) {
      text += new TextDecoder().decode(bytes);
      for (const listener of listeners) listener();
    }
  };
  void read(child.stdout);
  void read(child.stderr);
  const says = (words: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!text.includes(words)) return;
        listeners.delete(look);
        resolve();
      };
      listeners.add(look);
      void child.exited.then(() => setTimeout(() => reject(new Error(`it ended: ${text}`)), 50));
      look();
    });
  await says("  data ");
  const url = /http:\/\/\S+/.exec(text)?.[0] ?? "";
  const served = { child, url, text: () => text, says };
  running.push(served);
  return served;
}

const ask = (url: string, model = "one", stream = false) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "hi" }] }),
  });

describe("upstream requests in flight", () => {
  // Over sockets of its own: this process's fetch has the limit that is tested.
  test("300 streams at once all get their first token", async () => {
    const { url } = await serve();
    const body = JSON.stringify({
      model: "one",
      stream: true,
      messages: [{ role: "user", content: "hi" }],
    });
    const request = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const sockets = await Promise.all(
      Array.from({ length: 300 }, () => {
        const { promise, resolve, reject } = Promise.withResolvers<{ end(): void }>();
        let text = "";
        void Bun.connect({
          hostname: "127.0.0.1",
          port: Number(new URL(url).port),
          socket: {
            open: (socket) => void socket.write(request),
            data(socket, bytes) {
              text += bytes.toString();
              if (text.includes('"first"')) resolve(socket);
            },
            close: () => reject(new Error(`closed after ${text}`)),
          },
        });
        return promise;
      }),
    );
    expect(sockets.length).toBe(300);
    for (const socket of sockets) socket.end();
  }, 30_000);
});

describe("signals", () => {
  test("SIGTERM lets a stream end; the exit code is 0", async () => {
    const { child, url, says, text } = await serve();
    const response = await ask(url, "one", true);
    const reader = response.body?.getReader();
    await reader?.read();
    child.kill("SIGTERM");
    await says("waiting for 1 call");
    expect((await fetch(`${url}/_health/ready`)).status).toBe(503);
    finish();
    let rest = "";
    for (;;) {
      const read = await reader?.read();
      if (!read || read.done) break;
      rest += new TextDecoder().decode(read.value);
    }
    expect(rest).toContain("[DONE]");
    expect(await child.exited).toBe(0);
    expect(text()).toContain("stopped");
  }, 20_000);

  test("a second signal ends it at once", async () => {
    const { child, url, says } = await serve();
    const response = await ask(url, "one", true);
    await response.body?.getReader().read();
    child.kill("SIGTERM");
    await says("waiting for 1 call");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(130);
  }, 20_000);

  test("SIGHUP takes a good configuration whole, and keeps the old one over a bad one", async () => {
    const { child, url, says } = await serve();
    expect((await ask(url, "two")).status).toBe(400);
    writeConfig("one", "two");
    child.kill("SIGHUP");
    await says("configuration reloaded");
    expect((await ask(url, "two")).status).toBe(200);
    writeFileSync(join(folder, "config.yaml"), "model_list: {broken");
    child.kill("SIGHUP");
    await says("configuration kept");
    expect((await ask(url, "two")).status).toBe(200);
    writeConfig("one");
  }, 20_000);
});

describe("workers", () => {
  test("share the port, reload together, end together", async () => {
    const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const { port } = probe;
    probe.stop(true);
    writeConfig("one");
    const { child, url, says } = await serve(["--port", String(port), "--workers", "2"]);
    // The kernel shares connections out by their ports, so a second process shows itself soon.
    const pidsOf = async () => {
      const listed = await Bun.$`pgrep -P ${child.pid}`.nothrow().text();
      return listed.trim().split("\n").filter(Boolean).map(Number);
    };
    let workers = await pidsOf();
    while (workers.length === 0) workers = await pidsOf();
    for (let i = 0; i < 40; i++) expect((await ask(url)).status).toBe(200);
    child.kill("SIGTERM");
    await says("stopped");
    expect(await child.exited).toBe(0);
    for (const pid of workers) expect(() => process.kill(pid, 0)).toThrow();
  }, 30_000);
});

describe("refusals", () => {
  async function refused(args: readonly string[], env?: Record<string, string>) {
    const child = spawn(args, env);
    const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    return { stderr, code };
  }

  test("a port in use: what to do", async () => {
    const { url } = await serve();
    const { stderr, code } = await refused(["--port", new URL(url).port]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/Port \d+ is in use.*--port \d+/);
    expect(stderr).not.toMatch(/\.ts:\d+/);
  }, 20_000);

  test("an open gateway on a wide address: what to do", async () => {
    const { stderr, code } = await refused(["--host", "0.0.0.0", "--port", "0"]);
    expect(code).toBe(1);
    expect(stderr).toContain("LITELLM_MASTER_KEY");
  }, 20_000);

  test("workers without a port of their own: usage", async () => {
    const { stderr, code } = await refused(["--port", "0", "--workers", "2"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--workers");
  }, 20_000);

  test("a port that is none: usage", async () => {
    const { code } = await refused(["--port", "http"]);
    expect(code).toBe(2);
  }, 20_000);
});
