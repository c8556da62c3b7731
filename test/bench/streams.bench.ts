/** What streaming costs: added time to the first token, CPU per event, memory of open streams. */
import { type BenchContext, type BenchRow, defineBench, median, skipped } from "./bench.ts";
import { nativeMissing, runLoad } from "./native.ts";
import { residentMb } from "./process-cost.ts";
import {
  costOf,
  createBodies,
  type Subject,
  startPassThrough,
  startStub,
  startSubject,
} from "./rig.ts";

export const streamsBench = defineBench("streams", async (context) => {
  const missing = nativeMissing();
  if (missing) return [skipped("streams", missing)];
  const quick = await startStub({ chunks: 4, gapUs: 500 });
  const paced = await startStub({ chunks: 50, gapUs: 10_000 });
  const slow = await startStub({ chunks: context.size(4, 20), gapUs: 250_000 });
  const subjects: Subject[] = [];
  const start = async (name: string, upstreamPort: number) => {
    const subject = await startSubject({ name, upstreamPort, observed: true });
    subjects.push(subject);
    return subject;
  };
  try {
    const first = await firstToken(await start("first token", quick.port), quick.port, context);
    const base = await startPassThrough(paced.port);
    subjects.push(base);
    const perEvent = await cpuPerEvent(base, await start("paced", paced.port), context);
    const memory = await openStreams(await start("memory", slow.port), slow.port, context);
    return [...first, ...perEvent, ...memory];
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
    await Promise.all([quick, paced, slow].map((stub) => stub.stop()));
  }
});

/** One stream at a time, by turns straight to the upstream and through the gateway. */
async function firstToken(
  gateway: Subject,
  upstreamPort: number,
  { size, note }: BenchContext,
): Promise<readonly BenchRow[]> {
  const rounds = size(1, 5);
  const measure = async (port: number) => {
    const bodies = createBodies("bench", 64, true);
    const requests = size(40, 1000);
    const report = await runLoad({ port, connections: 1, requests, stream: true, bodies });
    if (report.errors > 0) throw new Error(`${report.errors} streams failed`);
    return report.firstEventUs;
  };
  await measure(gateway.port); // warms up
  const added = { p50: [] as number[], p99: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const direct = await measure(upstreamPort);
    const through = await measure(gateway.port);
    added.p50.push(through.p50 - direct.p50);
    added.p99.push(through.p99 - direct.p99);
    note(`first token, round ${round + 1}/${rounds}: + ${through.p50 - direct.p50} µs`);
  }
  const [p50, p99] = [median(added.p50) / 1000, median(added.p99) / 1000];
  return [
    {
      what: "added time to first token",
      measured: `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
      budget: "≤ 0.5 / 5 ms",
      ok: p50 <= 0.5 && p99 <= 5,
      detail: "against the upstream itself, one stream at a time, events and spans on",
    },
  ];
}

async function cpuPerEvent(
  base: Subject,
  gateway: Subject,
  { size, note }: BenchContext,
): Promise<readonly BenchRow[]> {
  const rounds = size(1, 5);
  const costs: { base: number[]; own: number[] } = { base: [], own: [] };
  for (let round = -1; round < rounds; round++) {
    for (const [subject, list] of [
      [base, costs.base],
      [gateway, costs.own],
    ] as const) {
      const bodies = createBodies("bench", 64, true);
      const streams = size(16, 256);
      const load = () =>
        runLoad({
          port: subject.port,
          connections: size(16, 128),
          requests: streams,
          stream: true,
          bodies,
        });
      const { value, cpuUs } = await costOf(subject, load);
      if (value.errors > 0) throw new Error(`${subject.name}: ${value.errors} streams failed`);
      if (round >= 0) list.push(cpuUs / value.eventDelayUs.count);
    }
    note(`events, round ${round + 1}/${rounds}`);
  }
  const own = median(costs.own);
  return [
    {
      what: "CPU per SSE event",
      measured: `${own.toFixed(1)} µs`,
      budget: "≤ 30 µs",
      ok: own <= 30,
      detail: `pass-through ${median(costs.base).toFixed(1)} µs; ${size(16, 128)} streams, an event each 10 ms`,
    },
  ];
}

async function openStreams(gateway: Subject, upstreamPort: number, { size, note }: BenchContext) {
  const idleMb = residentMb(gateway.pid);
  const connections = size(50, 1000);
  // The first pass warms up, as everywhere else; memory counts in both.
  const first = await openOnce(gateway, upstreamPort, connections, undefined);
  const { own, direct, ...second } = await openOnce(gateway, upstreamPort, connections, {
    // By then all streams are open: it is them that the calls are measured beside, not their beginning.
    settleMs: size(100, 1_500),
  });
  const peakMb = Math.max(first.peakMb, second.peakMb);
  const errors = first.errors + second.errors;
  const addedMs = quantile(own, 0.99) - quantile(direct, 0.99);
  note(`${connections} open streams: ${peakMb.toFixed(0)} MB`);
  const rows: BenchRow[] = [
    {
      what: "resident memory, idle",
      measured: `${idleMb.toFixed(0)} MB`,
      budget: "≤ 80 MB",
      ok: idleMb <= 80,
      detail: "all processes of the gateway, events and spans on",
    },
    {
      what: `resident memory, ${connections} open streams`,
      measured: `${peakMb.toFixed(0)} MB`,
      budget: "≤ 150 MB",
      ok: peakMb <= 150 && errors === 0,
      detail: `highest of a look each 100 ms; ${connections} streams twice, ${errors} failed; ${first.peakMb.toFixed(0)} MB the first time`,
    },
    {
      what: `added time of ${callsPerSecond} calls a second beside ${connections} open streams, p99`,
      measured: `${addedMs.toFixed(2)} ms`,
      budget: "≤ 5 ms",
      ok: addedMs <= 5,
      detail: `${own.length} calls, p50 ${quantile(own, 0.5).toFixed(2)} ms, p99 ${quantile(own, 0.99).toFixed(2)} ms; the upstream itself, called likewise, ${quantile(direct, 0.5).toFixed(2)} and ${quantile(direct, 0.99).toFixed(2)} ms; the streams began at once, so their events come in bursts`,
    },
  ];
  return rows;
}

/** Streams that are open at once, calls beside them where those are wanted. */
async function openOnce(
  gateway: Subject,
  upstreamPort: number,
  connections: number,
  calls: { readonly settleMs: number } | undefined,
) {
  const load = runLoad({
    port: gateway.port,
    connections,
    requests: connections,
    stream: true,
    bodies: createBodies("bench", 64, true),
  });
  let peakMb = 0;
  let ended = false;
  const ports = calls ? [gateway.port, upstreamPort] : [];
  const beside = ports.map((port) => callAtRate(port, calls?.settleMs ?? 0, () => ended));
  const finished = load.finally(() => {
    ended = true;
  });
  while (!ended) {
    peakMb = Math.max(peakMb, residentMb(gateway.pid));
    await Promise.race([finished, Bun.sleep(100)]);
  }
  const { errors } = await finished;
  const [own = [], direct = []] = await Promise.all(beside);
  return { peakMb, errors, own, direct };
}

const callsPerSecond = 200;

/** What calls took that were begun at a steady rate, whatever became of those before, ms. */
async function callAtRate(
  port: number,
  settleMs: number,
  isOver: () => boolean,
): Promise<number[]> {
  const [body = ""] = createBodies("bench", 1);
  const call = async () => {
    const fromMs = performance.now();
    const init = { method: "POST", body, headers: { "content-type": "application/json" } };
    const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, init);
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`a call beside the streams got ${answer.status}`);
    return performance.now() - fromMs;
  };
  await Bun.sleep(settleMs);
  const fromMs = performance.now();
  const calls: Promise<number>[] = [];
  while (!isOver()) {
    const dueMs = fromMs + (calls.length * 1000) / callsPerSecond;
    if (dueMs > performance.now()) await Bun.sleep(dueMs - performance.now());
    calls.push(call());
  }
  return Promise.all(calls);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
