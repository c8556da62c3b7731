/** kill -9 and restart, SIGTERM, a disk that is full, a folder that cannot be written. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSimulatedProviders } from "../../src/cli/demo/simulated-providers.ts";
import { createFolder, hasSetpriv, type RunningGateway, startGateway } from "../support/binary.ts";
import { jailMissing } from "../support/jail.ts";

const simulated = createSimulatedProviders({ speed: Number.POSITIVE_INFINITY });
afterAll(() => simulated.close());

const config = { model_list: simulated.entries };

async function call(gateway: RunningGateway): Promise<string> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "sim-swift", messages: [{ role: "user", content: "Hi!" }] }),
  });
  await response.arrayBuffer();
  expect(response.status).toBe(200);
  return response.headers.get("x-routeiq-call-id") ?? "";
}

const receiptStatus = async (gateway: RunningGateway, callId: string) => {
  const response = await fetch(`${gateway.url}/v1/routing/decisions/${callId}`);
  await response.arrayBuffer();
  return response.status;
};

test("SIGTERM loses nothing: every receipt is there after a restart", async () => {
  const folder = createFolder();
  const first = await startGateway({ cwd: folder.path, config });
  const calls = await Promise.all(Array.from({ length: 40 }, () => call(first)));
  expect(await first.stop()).toBe(0);
  const second = await startGateway({ cwd: folder.path });
  const found = await Promise.all(calls.map((callId) => receiptStatus(second, callId)));
  await second.stop();
  folder.remove();
  expect(found.filter((status) => status !== 200)).toEqual([]);
});

test("kill -9 loses at most the last batch, and the next start serves", async () => {
  const folder = createFolder();
  const first = await startGateway({ cwd: folder.path, config });
  const early = await Promise.all(Array.from({ length: 20 }, () => call(first)));
  // Committed within 250 ms: only what came later may be lost.
  await Bun.sleep(600);
  const late = call(first).catch(() => "");
  first.kill("SIGKILL");
  await Promise.all([first.exited, late]);
  const second = await startGateway({ cwd: folder.path });
  const found = await Promise.all(early.map((callId) => receiptStatus(second, callId)));
  await call(second);
  await second.stop();
  folder.remove();
  expect(found.filter((status) => status !== 200)).toEqual([]);
});

test("SIGTERM lets a stream end, while readiness is false", async () => {
  const slow = createSimulatedProviders({ speed: 1 });
  const folder = createFolder();
  const gateway = await startGateway({ cwd: folder.path, config: { model_list: slow.entries } });
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "sim-coder",
      stream: true,
      messages: [{ role: "user", content: "Write a Python function" }],
    }),
  });
  const reader = response.body?.getReader();
  const first = await reader?.read();
  gateway.kill("SIGTERM");
  let text = new TextDecoder().decode(first?.value);
  for (;;) {
    const next = await reader?.read();
    if (!next || next.done) break;
    text += new TextDecoder().decode(next.value);
  }
  expect(await gateway.exited).toBe(0);
  await slow.close();
  folder.remove();
  expect(text).toContain("[DONE]");
});

describe("where state cannot be kept, calls are served, degraded in plain sight", () => {
  const status = async (gateway: RunningGateway) => {
    const response = await fetch(`${gateway.url}/_health/ready`);
    const body = (await response.json()) as { status: string };
    return { code: response.status, status: body.status };
  };

  test.skipIf(process.getuid?.() === 0 && !hasSetpriv)(
    "a data folder of someone else's",
    async () => {
      const folder = createFolder();
      mkdirSync(join(folder.path, "closed"));
      chmodSync(join(folder.path, "closed"), 0o500);
      const args = ["--data-dir", join(folder.path, "closed", "data")];
      const gateway = await startGateway({ cwd: folder.path, config, args });
      await call(gateway);
      const ready = await status(gateway);
      await gateway.stop();
      folder.remove();
      expect(ready).toEqual({ code: 200, status: "degraded" });
    },
  );

  test("a data folder that is a file", async () => {
    const folder = createFolder();
    writeFileSync(join(folder.path, "data"), "not a folder");
    const args = ["--data-dir", join(folder.path, "data")];
    const gateway = await startGateway({ cwd: folder.path, config, args });
    await call(gateway);
    const ready = await status(gateway);
    await gateway.stop();
    folder.remove();
    expect(ready).toEqual({ code: 200, status: "degraded" });
  });

  test.skipIf(jailMissing() !== undefined)("a full disk", async () => {
    const folder = createFolder();
    const full = join(folder.path, "full");
    mkdirSync(full);
    chmodSync(full, 0o777);
    // A file system of 64 KiB in a mount namespace of its own: SQLite's first pages fill it.
    const mount = `mount -t tmpfs -o size=64k,mode=1777 tmpfs ${full} && exec "$@"`;
    const under = ["unshare", "-m", "sh", "-ec", mount, "sh"];
    const args = ["--data-dir", join(full, "data")];
    const gateway = await startGateway({ cwd: folder.path, config, args, under });
    for (let at = 0; at < 200; at++) await call(gateway);
    const ready = await status(gateway);
    await gateway.stop();
    folder.remove();
    expect(ready).toEqual({ code: 200, status: "degraded" });
  });
});
