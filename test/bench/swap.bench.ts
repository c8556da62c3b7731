/** Hot swaps under load: signed releases, verified and taken while calls go on. */
import { cpSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createFolder, runBinary, startGateway } from "../support/binary.ts";
import { type BenchContext, type BenchRow, defineBench, skipped } from "./bench.ts";
import { nativeMissing, runLoad } from "./native.ts";
import { createBodies, models, startStub, trainRouter } from "./rig.ts";
import { timeTurns } from "./swap-turns.ts";

const what = "hot swaps under load";
/** Few: with the processor full, a wait for it could not be told from a pause. */
const connections = 2;
const budget = "0 failed";

export const swapBench = defineBench("swap", async (context) => {
  const missing = nativeMissing();
  if (missing) return [skipped(what, missing, budget)];
  const folder = createFolder();
  const stub = await startStub({ chunks: 1, gapUs: 1000 });
  try {
    const releases = await publishReleases(folder.path, context);
    const place = { cwd: folder.path, upstreamPort: stub.port };
    const routers = ["even", "odd"].map((name) => join(folder.path, name));
    return [...(await swapThrough(releases, place, context)), await timeTurns(routers, context)];
  } finally {
    await stub.stop();
    folder.remove();
  }
});

/** Publishes so many releases, alternately of two routers; gives the pointer to each of them. */
async function publishReleases(cwd: string, { size, note }: BenchContext) {
  const routeiq = async (...args: readonly string[]) => {
    const { exitCode, stderr, stdout } = await runBinary(args, { cwd });
    if (exitCode !== 0) throw new Error(`routeiq ${args.join(" ")}: ${stderr}${stdout}`);
  };
  await routeiq("models", "keygen", "--out", "keys");
  await trainRouter(cwd, "llmrouter-knn", { out: "even", seed: 1 });
  await trainRouter(cwd, "llmrouter-knn", { out: "odd", seed: 2 });
  const pointers: Uint8Array[] = [];
  const count = size(3, 100);
  for (let version = 1; version <= count; version++) {
    const router = version % 2 === 0 ? "even" : "odd";
    // The gate is of no interest here: the routers differ in their seed only.
    await routeiq(
      ...["models", "sign", router, "--key", "keys", "--version", String(version), "--force"],
    );
    await routeiq(
      ...["models", "publish", router, "repository", "--key", "keys", "--force"],
      ...["--root", "keys/1.root.json"],
    );
    pointers.push(await Bun.file(join(cwd, "repository", "timestamp.json")).bytes());
    if (version % 10 === 0) note(`${version} releases published`);
  }
  return pointers;
}

interface Place {
  readonly cwd: string;
  readonly upstreamPort: number;
}

async function swapThrough(
  pointers: readonly Uint8Array[],
  { cwd, upstreamPort }: Place,
  { size, note }: BenchContext,
): Promise<readonly BenchRow[]> {
  const served = join(cwd, "served");
  cpSync(join(cwd, "repository"), served, { recursive: true });
  const point = (pointer: Uint8Array | undefined) => {
    const aside = join(cwd, "timestamp.part");
    writeFileSync(aside, pointer ?? new Uint8Array());
    renameSync(aside, join(served, "timestamp.json"));
  };
  point(pointers[0]);
  const api_base = `http://127.0.0.1:${upstreamPort}/v1`;
  const gateway = await startGateway({
    cwd,
    config: {
      model_list: models.map(({ name }) => ({
        model_name: "routed",
        litellm_params: { model: `openai/${name}`, api_base, api_key: "sk-upstream" },
      })),
      router_settings: {
        routing_strategy: "llmrouter-knn",
        routing_strategy_args: {
          model_path: `file://${served}`,
          model_root: join(cwd, "keys", "1.root.json"),
          hot_reload: true,
          reload_interval: 3600, // swaps are asked for below, one by one
        },
      },
    },
  });
  try {
    const load = (maxMs: number) =>
      runLoad({
        port: Number(new URL(gateway.url).port),
        connections,
        requests: 10_000_000,
        maxMs,
        bodies: createBodies("routed", 256),
      });
    await load(size(200, 4000)); // warms up
    const quiet = await load(size(300, 10_000));
    let ended = false;
    const busy = load(size(2000, 60_000)).finally(() => {
      ended = true;
    });
    let swaps = 0;
    let returned = 0;
    for (const [at, pointer] of pointers.entries()) {
      if (at === 0) continue;
      if (ended) break;
      point(pointer);
      if (await askForSwap(gateway.url, at + 1)) swaps++;
      else returned++;
    }
    const during = await busy;
    note(`${swaps} swaps, ${during.completed} calls`);
    return [
      {
        what,
        measured: `${during.errors} of ${during.completed} calls failed in ${swaps} swaps; slowest ${toMs(during.latencyUs.max)} ms`,
        budget,
        ok: during.errors === 0 && swaps > 0,
        detail: `${returned} ended early by their health window; slowest without swaps ${toMs(quiet.latencyUs.max)} ms; p99 ${toMs(during.latencyUs.p99)} against ${toMs(quiet.latencyUs.p99)} ms; ${connections} connections`,
      },
    ];
  } finally {
    await gateway.stop();
  }
}

const toMs = (us: number) => (us / 1000).toFixed(1);

/**
 * `POST /llmrouter/reload`, which polls at once; then a call has to name the version. False where the
 * health window has sent it back already: on a busy machine latency rises for other reasons, too.
 */
async function askForSwap(url: string, version: number): Promise<boolean> {
  const reload = await fetch(`${url}/llmrouter/reload`, { method: "POST" });
  const said = await reload.text();
  if (!reload.ok) throw new Error(`reload was answered ${reload.status}: ${said}`);
  const [body = ""] = createBodies("routed", 8);
  const headers = { "content-type": "application/json" };
  let last = "";
  for (let look = 0; look < 200; look++) {
    const call = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
    const text = await call.text();
    last = `${call.status} under ${call.headers.get("x-routeiq-artifact")}`;
    if (call.headers.get("x-routeiq-artifact")?.endsWith(`@${version}`)) return true;
    if (!call.ok) throw new Error(`a call was answered ${last}: ${text.slice(0, 200)}`);
    if (look > 20 && last.endsWith(`@${version - 1}`)) return false;
    await Bun.sleep(5);
  }
  throw new Error(`version ${version} did not come into service: ${said}; a call: ${last}`);
}
