/** `routeiq models check-custom`: whether a router of one's own keeps the contract, before it serves. */
import { existsSync } from "node:fs";
import { createFeatureExtractor } from "../../embedding/features.ts";
import { ModuleRefused, moduleLimits } from "../../routing/custom/contract.ts";
import { type ModuleProcess, startModuleProcess } from "../../routing/custom/module-process.ts";
import { type Checked, checkModule } from "../../routing/custom/module-router.ts";
import { findModuleProblem, toModulePath } from "../../routing/custom/plan.ts";
import { systemClock } from "../../std/clock.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { embedderFlag, listFlag, openEmbedder } from "../learning-inputs.ts";
import { UsageError } from "../parse.ts";
import { countFrom } from "./repository.ts";

export const checkCustomCommand = defineCommand({
  name: "models check-custom",
  summary:
    "Load a router of your own (llmrouter-custom) as a gateway does, ask it the golden queries, and say what fails.",
  args: { file: "a .ts, .js, .mjs, .wasm or .onnx file" },
  flags: {
    models: {
      description: "The models, in the order of its scores. Default: what it exports, else a, b.",
      value: "NAME",
      many: true,
    },
    "timeout-ms": { description: "As `module_timeout_ms`. Default 100.", value: "N" },
    "memory-mb": { description: "As `module_memory_mb`. Default 512.", value: "N" },
    embedder: embedderFlag,
  },
  example: "routeiq models check-custom ./my-router.ts --models openai/gpt-4o openai/gpt-4o-mini",
  async run(context) {
    const path = context.args[0] ?? "";
    const problem = findModuleProblem({ module_path: path }, existsSync);
    if (problem) throw new UsageError(`${problem.message}. ${problem.remedy}`);
    return await check(toModulePath(path), context);
  },
});

async function check(path: string, context: CommandContext): Promise<number> {
  const { flags, out } = context;
  const named = listFlag(flags, "models");
  const limits = {
    scoreMs: countFrom(flags["timeout-ms"], moduleLimits.scoreMs, "timeout-ms", 1),
    memoryMb: countFrom(flags["memory-mb"], moduleLimits.memoryMb, "memory-mb", 64),
  };
  let module: ModuleProcess;
  try {
    const settings = { path, models: ["a", "b"], ...(named.length > 0 ? { named } : {}) };
    const onLine = (line: string) => out.note(`it wrote: ${line}`);
    module = await startModuleProcess({ settings, limits, clock: systemClock, onLine });
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    out.json({ ok: false, problem: why });
    out.line(`refused: ${why}`);
    if (!(thrown instanceof ModuleRefused)) out.line("It was given 15 s and module_memory_mb.");
    return 1;
  }
  const { embedder, close } = await openEmbedder(flags);
  try {
    const extractor = createFeatureExtractor(embedder);
    const checked = await checkModule(module, extractor, systemClock.monotonicUs);
    return report(checked, module, context);
  } finally {
    module.kill("the check is over");
    close();
  }
}

function report(
  checked: readonly Checked[],
  { models, peakBytes }: ModuleProcess,
  { out }: CommandContext,
): number {
  const wrong = checked.filter(({ problem }) => problem !== undefined);
  const times = checked.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const medianMs = times[times.length >> 1] ?? 0;
  const memoryMb = Math.round(peakBytes / 1024 / 1024);
  out.json({
    ok: wrong.length === 0,
    models,
    median_ms: Number(medianMs.toFixed(3)),
    slowest_ms: Number((times.at(-1) ?? 0).toFixed(3)),
    memory_mb: memoryMb,
    queries: checked.map(({ query, scores, problem }) => ({
      query,
      ...(scores ? { scores: Array.from(scores, (score) => Number(score.toFixed(6))) } : {}),
      ...(problem ? { problem } : {}),
    })),
  });
  out.line(`models: ${models.join(", ")}`);
  for (const { query, scores, tookMs, problem } of checked) {
    const said = problem ?? Array.from(scores ?? [], (score) => score.toFixed(3)).join("  ");
    out.line(`${problem ? "FAIL" : "ok  "}  ${query.padEnd(40)}  ${tookMs.toFixed(1)} ms  ${said}`);
  }
  out.line(
    wrong.length === 0
      ? `ok: ${checked.length} queries, median ${medianMs.toFixed(1)} ms, ${memoryMb} MB`
      : `${wrong.length} of ${checked.length} queries failed: a gateway refuses this module`,
  );
  return wrong.length === 0 ? 0 : 1;
}
