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
