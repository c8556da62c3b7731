/** `routeiq doctor`, as a program: on a good and a bad configuration, and against a server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const main = join(import.meta.dir, "../src/main.ts");
const yaml = `model_list:
  - model_name: a
    litellm_params: {model: openai/a, api_key: sk-key-of-the-test}
`;

let folder: string;
let running: TestGateway;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "doctor-"));
  running = await startTestGateway({ yaml });
});
afterAll(async () => {
  await running.gateway.close();
  await rm(folder, { recursive: true });
});

async function doctor(words: string, env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([process.execPath, main, "doctor", ...words.split(" ")], {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  return { code, stdout };
}

interface Told {
  readonly ok: boolean;
  readonly checks: readonly { name: string; status: string; message: string; remedy?: string }[];
}

async function examine(words: string, env?: Readonly<Record<string, string>>) {
  const { code, stdout } = await doctor(`${words} --json`, env);
  const told = JSON.parse(stdout) as Told;
  return { code, of: (name: string) => told.checks.find((check) => check.name === name) };
}

describe("--live", () => {
  test("a running server is alive", async () => {
    const { code, stdout } = await doctor(`--live --port ${running.gateway.port}`);
    expect([code, stdout]).toEqual([0, `alive: ${running.gateway.url}/_health/live\n`]);
  });
  test("nobody there is 1, with the reason", async () => {
    const { code, stdout } = await doctor("--live --port 1", { LITELLM_HOST: "0.0.0.0" });
    expect(code).toBe(1);
    expect(stdout).toStartWith("not alive: http://127.0.0.1:1/_health/live: ");
    expect(stdout).toContain("it refuses the connection");
  });
});

describe("without --live", () => {
  test("all is well", async () => {
    await Bun.write(join(folder, "good.yaml"), yaml);
    const { code, of } = await examine("-c good.yaml --port 0");
    expect(code).toBe(0);
    for (const name of ["config", "providers", "bind", "data", "port", "clock", "kernels"]) {
      expect([name, of(name)?.status]).toEqual([name, "ok"]);
    }
    expect(await Bun.file(join(folder, ".routeiq")).exists()).toBe(false);
  });

  test("a bad file, an open bind, no key: each with its remedy", async () => {
    await Bun.write(join(folder, "bad.yaml"), "model_list:\n\t- x\n");
    const bad = await examine("-c bad.yaml --port 0");
    expect(bad.code).toBe(1);
    expect(bad.of("config")).toMatchObject({
      status: "failed",
      remedy: expect.stringContaining("spaces"),
    });
    const open = await examine("--host 0.0.0.0 --port 0");
    expect(open.code).toBe(1);
    expect(open.of("bind")).toMatchObject({
      status: "failed",
      message: expect.stringContaining("LITELLM_MASTER_KEY"),
    });
    expect(open.of("providers")).toMatchObject({
      status: "warning",
      remedy: expect.stringContaining("OPENAI_API_KEY"),
    });
  });

  test("a port in use is RouteIQ's or a stranger's", async () => {
    const own = await examine(`--port ${running.gateway.port}`);
    expect(own.of("port")).toMatchObject({ status: "ok" });
    const stranger = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("", { status: 404 }),
    });
    const taken = await examine(`--port ${stranger.port}`);
    expect(taken.of("port")).toMatchObject({
      status: "failed",
      remedy: expect.stringContaining("--port"),
    });
    await stranger.stop(true);
  });

  test.skipIf(process.getuid?.() === 0)(
    "a data folder that cannot be written (needs a user other than root)",
    async () => {
      const locked = join(folder, "locked");
      await mkdir(locked);
      await chmod(locked, 0o500);
      const { of } = await examine(`--port 0 --data-dir ${join(locked, "data")}`);
      expect(of("data")).toMatchObject({
        status: "warning",
        remedy: expect.stringContaining("--data-dir"),
      });
    },
  );

  test("a data folder below a file cannot be made", async () => {
    await Bun.write(join(folder, "file"), "x");
    const { code, of } = await examine("--port 0 --data-dir file/data");
    expect(code).toBe(0);
    expect(of("data")).toMatchObject({
      status: "warning",
      message: expect.stringContaining("in memory alone"),
    });
  });
});
