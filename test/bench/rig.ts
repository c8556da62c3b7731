/** The rig of the HTTP benchmarks: a stub upstream, the bare pass-through, and gateways before both. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createPromptBank } from "../../src/cli/demo/prompts.ts";
import { simulatedModels, trueQuality } from "../../src/cli/demo/simulated-models.ts";
import { createRandom } from "../../src/std/random.ts";
import { createFolder, type RunningGateway, runBinary, startGateway } from "../support/binary.ts";
import { compileNative, startPorted } from "./native.ts";
import { cpuUs } from "./process-cost.ts";

/** A server under load: the pass-through, or a gateway of some configuration. */
export interface Subject {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** What the bodies ask for. */
  readonly model: string;
  stop(): Promise<unknown>;
}

export interface StreamPlan {
  readonly chunks: number;
  readonly gapUs: number;
}

export async function startStub({ chunks, gapUs }: StreamPlan) {
  return await startPorted([compileNative("stub"), String(chunks), String(gapUs)]);
}

export async function startPassThrough(upstreamPort: number): Promise<Subject> {
  const program = join(import.meta.dir, "pass-through.ts");
  const started = await startPorted([process.execPath, program, String(upstreamPort)]);
  return { ...started, name: "pass-through", model: "bench" };
}

/** What the learned gateways route among. */
export const models = simulatedModels.slice(0, 4);

export interface GatewayPlan {
  readonly name: string;
  readonly upstreamPort: number;
  /** Events to SQLite and spans to an OTLP collector (the stub plays it). */
  readonly observed: boolean;
  /** A learned strategy; missing: no routing. */
  readonly strategy?: string;
}

/** A gateway of the compiled binary, its router trained by the binary itself. */
export async function startSubject(plan: GatewayPlan): Promise<Subject> {
  const folder = createFolder();
  const { upstreamPort, observed, strategy } = plan;
  const api_base = `http://127.0.0.1:${upstreamPort}/v1`;
  const deployment = (group: string, model: string) => ({
    model_name: group,
    litellm_params: { model: `openai/${model}`, api_base, api_key: "sk-upstream" },
    model_info: { input_cost_per_token: 1e-6, output_cost_per_token: 4e-6 },
  });
  if (strategy) await trainRouter(folder.path, strategy);
  const learned = {
    routing_strategy: strategy,
    routing_strategy_args: {
      model_path: join(folder.path, "router"),
      allow_unsigned_local: true,
      hot_reload: false,
    },
  };
  const gateway: RunningGateway = await startGateway({
    cwd: folder.path,
    config: {
      model_list: strategy
        ? models.map(({ name }) => deployment("routed", name))
        : [deployment("bench", "bench")],
      ...(strategy ? { router_settings: learned } : {}),
      routeiq_settings: {
        telemetry: {
          events: observed,
          ...(observed ? { otlp_endpoint: `http://127.0.0.1:${upstreamPort}` } : {}),
        },
      },
    },
  });
  return {
    name: plan.name,
    port: Number(new URL(gateway.url).port),
    pid: gateway.pid,
    model: strategy ? "routed" : "bench",
    async stop() {
      await gateway.stop();
      folder.remove();
    },
  };
}

/** Rows for at most 1,000 prototypes, from the demo's bank: the figures are of speed, not quality. */
export async function trainRouter(
  cwd: string,
  strategy: string,
  { out = "router", seed = 1 }: { readonly out?: string; readonly seed?: number } = {},
): Promise<void> {
  const bank = createPromptBank(createRandom(1), 80);
  const rows = bank.map((prompt) =>
    JSON.stringify({
      id: prompt.id,
      query: prompt.text,
      models: Object.fromEntries(
        models.map((model) => [
          `openai/${model.name}`,
          { score: trueQuality(model, prompt, 1), cost_usd: model.outputUsdPerMtok * 2e-4 },
        ]),
      ),
    }),
  );
  writeFileSync(join(cwd, "rows.jsonl"), `${rows.join("\n")}\n`);
  const args = [
    ...["train", "--data", "rows.jsonl", "--strategy", strategy],
    ...["--seed", String(seed), "--out", out],
  ];
  const { exitCode, stderr } = await runBinary(args, { cwd });
  if (exitCode !== 0) throw new Error(`train --strategy ${strategy} failed: ${stderr}`);
}

/** Chat bodies of about 800 bytes with different texts. */
export function createBodies(model: string, count: number, stream = false): readonly string[] {
  const bank = createPromptBank(createRandom(2), Math.ceil(count / 8));
  return bank.slice(0, count).map(({ text }) =>
    JSON.stringify({
      model,
      messages: [
        { role: "system", content: "You are a careful assistant. ".repeat(18) },
        { role: "user", content: text },
      ],
      temperature: 0.7,
      ...(stream ? { stream: true } : {}),
    }),
  );
}

/** Runs something against a subject and tells what it cost: processor time in µs. */
export async function costOf<T>(subject: Subject, run: () => Promise<T>) {
  const before = cpuUs(subject.pid);
  const value = await run();
  return { value, cpuUs: cpuUs(subject.pid) - before };
}
