/**
 * `npm run bench [-- WORD…]`: measures the budgets and writes docs/BENCHMARKS.md. With words, only the
 * benchmarks whose name holds one, and the file stays as it is. `--small` runs as `npm test` does.
 */
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Bench, type BenchRow, createContext } from "../test/bench/bench.ts";
import { benches } from "../test/bench/registry.ts";
import { root, run, tool } from "./run.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { small: { type: "boolean" }, json: { type: "boolean" } },
});
const chosen = benches.filter(
  ({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)),
);
if (chosen.length === 0) {
  console.error(
    `bench: none is called so; there are ${benches.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}

const startedAt = new Date();
const results: { bench: Bench; rows: readonly BenchRow[] }[] = [];
let failed = 0;
for (const bench of chosen) {
  console.error(`${bench.name} …`);
  const context = createContext(values.small !== true, (text) => console.error(`  ${text}`));
  try {
    results.push({ bench, rows: await bench.run(context) });
  } catch (error) {
    failed++;
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`  failed: ${reason}`);
    results.push({
      bench,
      rows: [{ what: bench.name, measured: "failed", ok: false, detail: reason }],
    });
  }
}

const rows = results.flatMap(({ rows }) => rows);
if (values.json) console.log(JSON.stringify(rows));
else console.log(toTable(rows));
if (positionals.length === 0 && !values.small) {
  await Bun.write(join(root, "docs", "BENCHMARKS.md"), toDocument(rows));
  run([tool("biome"), "format", "--config-path=.ci/biome.json", "--write", "docs/BENCHMARKS.md"]);
  console.error("wrote docs/BENCHMARKS.md");
}
process.exit(failed > 0 ? 1 : 0);

function verdict({ ok, budget }: BenchRow): string {
  if (ok === undefined) return budget ? "–" : "";
  return ok ? "held" : "**missed**";
}

function toTable(all: readonly BenchRow[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(["what", "measured", "budget", "verdict", "how"]),
    line(["---", "---", "---", "---", "---"]),
    ...all.map((row) =>
      line([row.what, row.measured, row.budget ?? "", verdict(row), row.detail ?? ""]),
    ),
  ].join("\n");
}

function toDocument(all: readonly BenchRow[]): string {
  const [cpu] = cpus();
  const git = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], { cwd: root });
  const compiler = Bun.spawnSync(["sh", "-c", "cc --version 2>/dev/null | head -1"]);
  const machine = [
    `${cpus().length} × ${cpu?.model.trim() ?? "unknown processor"}`,
    `${(totalmem() / 1e9).toFixed(0)} GB`,
    `${process.platform} ${release()}`,
  ].join(", ");
  return `# Benchmarks

Written by \`npm run bench\` on ${startedAt.toISOString().slice(0, 10)}; run it on your machine, where only
the ratios will be alike.

- Machine: ${machine}. A virtual machine, with other work on it.
- RouteIQ at ${git.stdout.toString().trim() || "an unknown commit"}, Bun ${Bun.version}, ${compiler.stdout.toString().trim() || "no C compiler"}.

${toTable(all)}

## Where the time goes

Shares of a call with routing, events and spans off, and about what they come to where the pass-through
costs 70 µs (\`perf\`, frame pointers and the runtime's JIT dump; 32 connections, on a machine with other
work on it, so that the shares are surer than the times):

| what                                                                               | share | µs  |
| ---------------------------------------------------------------------------------- | ----- | --- |
| the kernel: two sends, two receives, one wait for many calls                        | 28 %  | 28  |
| the kernel: other processes woken by those sends take the processor in between      | 14 %  | 14  |
| JavaScript, compiled                                                                | 20 %  | 20  |
| what it calls of the runtime: JSON of request and reply, strings, buffers, sets      | 24 %  | 24  |
| the runtime alone: event loop, collector on the serving thread                      | 10 %  | 10  |
| the runtime's other threads: compiler, collector's helpers, memory given back       | 4 %   | 5   |

- A Bun program that joins two sockets and reads nothing of what passes costs 0.35 of the pass-through
  (\`Bun.listen\`, \`Bun.connect\`, 27 µs): that is the floor, and the kernel's part of it is the same here.
- Above the floor there is no large item left. A call is parsed, checked, resolved, timed, counted,
  answered with twenty headers and packed as a receipt; each of these is 0.2 to 2 µs when it runs in a
  loop, and three to five times that between two system calls, with cold caches. It is why 1.2 × is
  missed, and why what was taken away lately (copies of bodies, spreads, a schema walked per reply,
  header fields of four pieces: −15 %) gained more than it promised.
- Events and spans cost some 10 µs on the serving thread and 45 µs in the background thread: features of
  a query that no router looked at 10, decoding the batch 5, the event as JSON 6, SQLite 10 with its
  writes, three spans 12. An event is a row that SQL can ask (\`calls\`), which is what the JSON is for.
- A decision over 512 prototypes, caches cold: query and features 12 µs, the vector 8, output tokens,
  cost, latency and novelty 4, the nearest rows 9, utilities and the rest 4. An MLP has 2 in place of
  the 9. The words' table is 4 MB, so that a text's words miss the cache.
- Streams: an event of many streams waits for its turn, so that a call beside a thousand of them waits
  for one turn of sixteen (or a sixteenth of what waits), half a millisecond, and not for all.
- A \`Set\` of what is in flight is a trap for the collector: each time it is rehashed it leaves a table
  that points at the next one and at what was in flight then, and once one of these is old, all later
  calls are held until a full collection. In a bag (\`std/bag.ts\`) they are not: of 48,000 plain calls'
  collections 2 are full where 7 were, the heap begins them at 28 to 36 MB in place of 30 to 63, and the
  helper threads of the collector have a fifth of the work.
- Memory: of 1,000 streams that last for seconds the objects are old when they end, and only a full
  collection takes them. One is made when nobody has been answered for a quarter of a second after 256
  calls or more at once (\`pipeline/waves.ts\`): 144 to 131 MB after the first thousand, 198 to 147 MB
  after the third. Streams that follow at once still lie on top of those before (175 MB).

## Method
- The gateway is the compiled binary with its usual settings, started by the benchmark. Upstream and
  callers are C programs of one thread each (\`test/bench/native\`), in processes of their own, on loopback.
- A ratio is to a bare pass-through, \`test/bench/pass-through.ts\`: one \`Bun.serve\`, one \`fetch\`, bodies
  buffered, streams handed on. Gateway and pass-through take turns in one run; the figure is the median
  over the rounds of the ratios within a round. A first round warms up and is not counted.
- CPU is the processor time of all threads of the process (\`/proc/<pid>/task/*/schedstat\`), per call.
- The decision is what the gateway says in \`x-routeiq-decision-us\`: embed, score, choose.
- A pause at a swap is the longest turn of the event loop while a router is built, tested and put in
  force, in processor time of that thread (\`test/bench/swap-turns.ts\`): on a machine with other work the
  slowest call of the row above it tells mostly of that work.
- The delay of a streamed event is the time at which the caller read it less the time at which the
  upstream wrote it, which the event carries; all on one clock.
- What the machine lacks is skipped, and the row says why.
`;
}
