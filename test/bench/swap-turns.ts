/**
 * What a swap takes of the serving thread at a stretch: routers are built, tested and put in force as
 * `gateway/learnt-routing.ts` does it, while the event loop turns as fast as it can and each of its turns is
 * timed by the thread's own processor time. Garbage collection on the thread is part of a turn.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { createKernelStore } from "../../src/kernels/store.ts";
import { buildRouter } from "../../src/learning/artifacts/build-router.ts";
import type { Candidate } from "../../src/learning/artifacts/source.ts";
import { createSlot } from "../../src/routing/slot.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createPause } from "../../src/std/pause.ts";
import { type BenchContext, type BenchRow, quantile, skipped } from "./bench.ts";
import { createBodies } from "./rig.ts";
import { openThreadClock } from "./thread-clock.ts";

const what = "hot swap: longest turn of the serving thread's event loop";
const budget = "no pause over 10 ms";

/** @param folders of unsigned routers, taken in turn */
export async function timeTurns(
  folders: readonly string[],
  { size }: BenchContext,
): Promise<BenchRow> {
  const cpuUs = openThreadClock();
  if (!cpuUs) return skipped(what, "a thread's processor time cannot be read here", budget);
  const candidates = folders.map(readCandidate);
  const embedder = createStaticEmbedder();
  const store = createKernelStore(createKernels);
  const slot = createSlot({ status: "none" });
  const parts = {
    embedder,
    extractor: createFeatureExtractor(embedder),
    kernels: store.take,
    release: store.give,
    clock: systemClock,
    pause: createPause(systemClock),
  };
  const texts = createBodies("routed", 200);
  const longestUs: number[] = [];
  for (let swap = 0; swap < size(3, 100); swap++) {
    const stop = watchTurns(cpuUs);
    const router = await buildRouter(candidates[swap % candidates.length] as Candidate, parts);
    slot.swap(router, { status: "active" });
    longestUs.push(await stop());
    for (const text of texts) await router.score({ text, tools: [] }); // calls between two swaps
  }
  slot.swap(undefined, { status: "none" });
  embedder.close();
  const [first = 0, ...later] = longestUs;
  const longest = Math.max(...later);
  const ms = (us: number) => (us / 1000).toFixed(1);
  return {
    what,
    measured: `p50 ${ms(quantile(later, 0.5))} ms, longest ${ms(longest)} ms`,
    budget,
    ok: longest <= 10_000,
    detail: `processor time of the thread, ${later.length} swaps with self-test; the first router of a process ${ms(first)} ms`,
  };
}

function watchTurns(cpuUs: () => number): () => Promise<number> {
  let longest = 0;
  let ended = false;
  let last = cpuUs();
  const turn = () => {
    const now = cpuUs();
    longest = Math.max(longest, now - last);
    last = now;
    if (!ended) setImmediate(turn);
  };
  setImmediate(turn);
  return async () => {
    await Bun.sleep(5); // what the swap leaves behind is its own as well
    ended = true;
    turn();
    return longest;
  };
}

function readCandidate(folder: string): Candidate {
  const release = JSON.parse(readFileSync(join(folder, "release.json"), "utf8"));
  const files = Object.keys(release.files).map(
    (path) => [path, new Uint8Array(readFileSync(join(folder, path)))] as const,
  );
  return {
    identity: { name: "router", version: 0, sha256: "" },
    files,
    selfTest: {
      inputSha256: release.self_test.input_sha256,
      outputSha256: release.self_test.output_sha256,
    },
    freshUntilMs: Number.POSITIVE_INFINITY,
  };
}
