/** `routeiq demo`: the whole loop in one terminal, with simulated providers and real HTTP. */
import { relative } from "node:path";
import { createOutbound } from "../security/outbound.ts";
import { build } from "../std/build.ts";
import { createRandom } from "../std/random.ts";
import { type CommandContext, defineCommand, type Output } from "./command.ts";
import { finaleLines } from "./demo/finale.ts";
import { createPromptBank, sparePrompts } from "./demo/prompts.ts";
import {
  type Casting,
  cast,
  type Play,
  pilotTopics,
  sceneAfter,
  sceneBefore,
  sceneShadow,
} from "./demo/scenes.ts";
import { simulatedCourt } from "./demo/simulated-judge.ts";
import { simulatedModels, simulatedVendors } from "./demo/simulated-models.ts";
import { canaryShare, createStage, type Stage } from "./demo/stage.ts";
import { sceneTurn, type TurnReport } from "./demo/turns.ts";
import { UsageError } from "./parse.ts";

const promptsPerTopic = 105;

export const demoCommand = defineCommand({
  name: "demo",
  summary:
    "Show the loop: route, observe, train, gate, sign, publish, canary, promote. No keys needed.",
  flags: {
    port: { description: "port of the gateway; 0: a free one (default)", value: "N", short: "p" },
    seed: { description: "of prompts, models and training (default 1)", value: "N" },
    folder: { description: "keep everything here, instead of in a temporary folder", value: "DIR" },
    publish: { description: "publish to this repository, s3://… or a folder", value: "URL" },
    exit: { description: "stop at the end instead of staying up" },
  },
  example: "routeiq demo --exit",
  async run(context) {
    const { flags, out, signal } = context;
    const startedMs = performance.now();
    const seed = wholeNumber(flags["seed"], "--seed", 1);
    const random = createRandom(seed);
    const bank = createPromptBank(random, promptsPerTopic);
    const spare = sparePrompts(random, bank);
    const casting = cast(bank, spare);
    introduce(out, casting);
    const stage = await createStage({
      ...stageOptions(context),
      seed,
      prompts: [...bank, ...spare],
    });
    try {
      const target = { outbound: createOutbound(), url: stage.url, seed };
      const play: Play = { stage, target, out, seed, signal };
      const report = await playAll(play, casting);
      const seconds = (performance.now() - startedMs) / 1000;
      out.json({ ...report, seconds, seed, gateway: stage.url });
      out.line(`\nAll of it took ${seconds.toFixed(1)} s.`);
      if (flags["exit"] === true) return report.turns.every(({ failed }) => failed === 0) ? 0 : 1;
      await stayUp(stage, context);
      return 0;
    } finally {
      await stage.close();
    }
  },
});

function stageOptions({ flags, env, signal }: CommandContext) {
  const { folder, publish } = flags;
  return {
    outbound: createOutbound(),
    env,
    signal,
    port: wholeNumber(flags["port"], "--port", 0),
    ...(typeof folder === "string" ? { folder } : {}),
    ...(typeof publish === "string" ? { repository: publish } : {}),
  };
}

function wholeNumber(given: unknown, name: string, missing: number): number {
  if (given === undefined) return missing;
  const value = Number(given);
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new UsageError(`${name} wants a whole number from 0 to 65535.`);
  }
  return value;
}

function introduce(out: Output, { before, shadow, heldOut, after, meanwhile }: Casting): void {
  const heading = (text: string) => out.line(text);
  heading("RouteIQ demo. The models are simulated and say so; HTTP, routing, training are real.\n");
  for (const { name, dialect, models } of [...simulatedVendors, simulatedCourt]) {
    for (const model of models) {
      const price = `$${model.inputUsdPerMtok} in, $${model.outputUsdPerMtok} out per Mtok`;
      out.line(`  ${model.name.padEnd(12)}${name}, ${dialect.padEnd(12)}${price}`);
    }
  }
  const parts = [
    `${before.length} for traffic before`,
    `${shadow.length} to learn from`,
    `${heldOut.length} for the gate`,
    `${after.length} for traffic after`,
    `${meanwhile.length} for users meanwhile`,
  ];
  out.line(`\n  Prompts: ${parts.join(", ")}; no prompt both teaches and judges.\n`);
}

async function playAll(play: Play, casting: Casting) {
  const { stage, out } = play;
  const { status } = await stage.readiness();
  out.line(`1. A gateway at ${stage.url}, without a router yet (readiness: ${status}).`);
  const before = await sceneBefore(play, casting);
  out.line(
    "2. A shadow set: a sample of prompts on every model, off the request path; a judge grades.",
  );
  const shadow = await sceneShadow(play, casting);
  out.line(
    `   ${shadow.rows} prompts × ${simulatedModels.length} models, graded in both orders; ` +
      `$${shadow.spentUsd.toFixed(2)} of simulated money.`,
  );
  out.line(
    `3. The loop's first turn learns from a pilot, mostly of ${pilotTopics.join(", ")}; users go on.`,
  );
  const first = tellTurn(out, await sceneTurn(play, casting, { rows: "pilot", judged: false }));
  if (first.done !== "kept") out.line("   Nothing was published; the next turn knows more.");
  out.line("4. Its second turn: all of them, what users said, and what the judge says of answers.");
  out.line(
    `   ${100 * canaryShare} % of the users try its release first; the others keep release 1.`,
  );
  const second = tellTurn(out, await sceneTurn(play, casting, { rows: "all", judged: true }));
  if (second.done === "refused")
    out.line("   What serves stays: a new one must be certain to be better.");
  out.line("5. Fresh prompts, by the router and by each model alone.");
  const { dial, singles } = await sceneAfter(play, casting);
  out.line("");
  for (const line of finaleLines({ before, dial, singles }, out.terminal)) out.line(line);
  const prompts = casting.shadow.length + casting.heldOut.length;
  const { rows, spentUsd } = shadow;
  return {
    before,
    shadow: { rows, prompts, spentUsd },
    dial,
    singles,
    turns: [first, second],
  };
}

function tellTurn(out: Output, turn: TurnReport): TurnReport {
  const shares = Object.entries(turn.answered)
    .map(([artifact, calls]) => `${calls} by ${artifact === "none" ? "no router" : artifact}`)
    .join(", ");
  out.line(
    `   ${turn.seconds.toFixed(1)} s; ${turn.calls} calls meanwhile (${shares}), ` +
      `${turn.failed} failed, slowest ${turn.slowestMs.toFixed(0)} ms.`,
  );
  if (turn.firstError) out.note(`first failure: ${turn.firstError}`);
  return turn;
}

async function stayUp(stage: Stage, { out, signal }: CommandContext): Promise<void> {
  // Of a kind that the router knows: of what it has never seen it would only say so.
  const content = "Prove by induction that the sum of the first 11 odd numbers is a square.";
  const body = JSON.stringify({ model: "auto", messages: [{ role: "user", content }] });
  out.line("\nThe gateway stays up. Try it:\n");
  out.line(`  curl -i ${stage.url}/v1/chat/completions -H 'content-type: application/json' \\`);
  out.line(`    -H 'x-routeiq-tradeoff: 0.9' -d '${body}'\n`);
  out.line("Why that model? Put the answer's x-routeiq-call-id here:\n");
  out.line(`  ${programName()} why CALL_ID --url ${stage.url}\n`);
  out.line("Ctrl-C ends the demo.");
  const interrupted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const exitCode = await Promise.race([interrupted, stage.gateway.exited]);
  if (typeof exitCode === "number") throw new Error(`the gateway ended:\n${stage.gateway.log()}`);
}

/** How the reader calls this program: the executable that runs, from where they are. */
function programName(): string {
  return build.compiled ? relative(process.cwd(), process.execPath) : "routeiq";
}
