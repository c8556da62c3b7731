/** What a call costs in the gateway, beside the bare pass-through in the same run (DESIGN §11). */
import { type BenchContext, type BenchRow, defineBench, median, skipped } from "./bench.ts";
import { nativeMissing, runLoad } from "./native.ts";
import {
  costOf,
  createBodies,
  type GatewayPlan,
  type Subject,
  startPassThrough,
  startStub,
  startSubject,
} from "./rig.ts";

const plans: readonly (Omit<GatewayPlan, "upstreamPort"> & { readonly budget: number })[] = [
  { name: "routing off, events and spans off", observed: false, budget: 1.2 },
  { name: "routing off, events and spans on", observed: true, budget: 1.5 },
  {
    name: "knn decision, events and spans on",
    observed: true,
    strategy: "llmrouter-knn",
    budget: 1.8,
  },
  {
    name: "mlp decision, events and spans on",
    observed: true,
    strategy: "llmrouter-mlp",
    budget: 1.8,
  },
];

const connections = 32;

export const callsBench = defineBench("calls", async (context) => {
  const missing = nativeMissing();
  if (missing) return [skipped("CPU per call", missing)];
  const stub = await startStub({ chunks: 1, gapUs: 1000 });
  const subjects: Subject[] = [];
  try {
    const base = await startPassThrough(stub.port);
    subjects.push(base);
    for (const plan of plans)
      subjects.push(await startSubject({ ...plan, upstreamPort: stub.port }));
    const costs = await measureRounds(subjects, context);
    const decisions: BenchRow[] = [];
    for (const subject of subjects.slice(3))
      decisions.push(await measureDecision(subject, context));
    return [
      ...plans.map((plan, at) => toRow(plan, costs[0] ?? [], costs[at + 1] ?? [])),
      ...decisions,
    ];
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
    await stub.stop();
  }
});

/** CPU per call in µs, by subject and round; the subjects take turns, so that a busy moment of the
 * machine hits all alike. */
async function measureRounds(subjects: readonly Subject[], { size, note }: BenchContext) {
  const rounds = size(1, 7);
  const requests = size(400, 12_000);
  const costs: number[][] = subjects.map(() => []);
  for (let round = -1; round < rounds; round++) {
    for (const [at, subject] of subjects.entries()) {
      const bodies = createBodies(subject.model, 256);
      const count = round < 0 ? requests * 8 : requests; // the compiler works on for some 100,000 calls
      const load = () => runLoad({ port: subject.port, connections, requests: count, bodies });
      const { value, cpuUs } = await costOf(subject, load);
      if (value.errors > 0) {
        throw new Error(`${subject.name}: ${value.errors} calls failed (${value.lastBadStatus})`);
      }
      if (round < 0) continue; // the first round warms up
      costs[at]?.push(cpuUs / value.completed);
      note(
        `round ${round + 1}/${rounds}, ${subject.name}: ${(cpuUs / value.completed).toFixed(1)} µs`,
      );
    }
  }
  return costs;
}

/** The median over rounds of (gateway / pass-through). */
function toRow(
  plan: { readonly name: string; readonly budget: number },
  base: readonly number[],
  own: readonly number[],
): BenchRow {
  const ratio = median(own.map((cost, round) => cost / (base[round] ?? Number.NaN)));
  return {
    what: `CPU per call, ${plan.name}`,
    measured: `${ratio.toFixed(2)} ×`,
    budget: `≤ ${plan.budget.toFixed(1)} ×`,
    ok: ratio <= plan.budget,
    detail: `${median(own).toFixed(1)} µs, pass-through ${median(base).toFixed(1)} µs; ${connections} connections`,
  };
}

/** From the gateway's own header, one call at a time, texts that it has not seen lately. */
async function measureDecision(subject: Subject, { size }: BenchContext): Promise<BenchRow> {
  const { header } = await runLoad({
    port: subject.port,
    connections: 1,
    requests: size(200, 8000),
    header: "x-routeiq-decision-us",
    bodies: createBodies(subject.model, 512),
  });
  return {
    what: `the decision, ${subject.name.split(",")[0]}`,
    measured: `p50 ${header.p50} µs, p99 ${header.p99} µs`,
    budget: "≤ 30 / 200 µs",
    ok: header.count > 0 && header.p50 <= 30 && header.p99 <= 200,
    detail: `x-routeiq-decision-us of ${header.count} calls, one at a time`,
  };
}
