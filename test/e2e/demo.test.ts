/** `routeiq demo --exit`: the whole loop, where there is no network and nothing to write to but /data. */
import { expect, test } from "bun:test";
import { createFolder, type Finished, runBinary } from "../support/binary.ts";
import { jailMissing, runJailed } from "../support/jail.ts";

interface Summary {
  readonly calls: number;
  readonly failed: number;
  readonly quality: number;
  readonly costPer1000Usd: number;
}

interface Report {
  readonly before: Summary;
  readonly shadow: { readonly rows: number; readonly prompts: number };
  readonly dial: readonly (Summary & { readonly tradeoff: number })[];
  readonly singles: readonly (Summary & { readonly model: string })[];
  readonly turns: readonly {
    readonly done: string;
    readonly artifact: string;
    readonly calls: number;
    readonly failed: number;
    readonly answered: Readonly<Record<string, number>>;
    readonly gate: { readonly passed: boolean };
    readonly labelled: number;
  }[];
}

async function runDemo(): Promise<Finished> {
  if (jailMissing() === undefined) return await runJailed(["demo", "--exit", "--json"]);
  const folder = createFolder();
  const finished = await runBinary(["demo", "--exit", "--json"], { cwd: folder.path });
  folder.remove();
  return finished;
}

test("the loop closes: a router is trained, gated, published, tried as canary, promoted, and pays", async () => {
  const { exitCode, stdout, stderr } = await runDemo();
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  const report: Report = JSON.parse(stdout);
  const { before, shadow, dial, singles, turns } = report;
  // Every model answered every prompt, and the judge graded them all.
  expect(shadow.rows).toBe(shadow.prompts);
  // The same loop as `routeiq loop`: the first release at once, the second by way of a canary.
  expect(turns).toMatchObject([
    { done: "kept", artifact: "router@1", failed: 0, gate: { passed: true }, labelled: 0 },
    { done: "kept", artifact: "router@2", failed: 0, gate: { passed: true } },
  ]);
  const [first, second] = turns;
  expect(first?.answered["none"]).toBeGreaterThan(20);
  expect(second?.answered["router@1"]).toBeGreaterThan(20);
  expect(second?.answered["router@2"]).toBeGreaterThan(20);
  expect(second?.labelled).toBeGreaterThan(10);
  expect([before, ...dial, ...singles].map(({ failed }) => failed)).toEqual(
    [before, ...dial, ...singles].map(() => 0),
  );
  const best = singles.toSorted((a, b) => b.quality - a.quality)[0];
  if (!best) throw new Error("the report has no single models");
  // Some setting of the dial is clearly better than the traffic before, for no more …
  const affordable = dial.filter(({ costPer1000Usd }) => costPer1000Usd <= before.costPer1000Usd);
  const bestAffordable = Math.max(...affordable.map(({ quality }) => quality));
  expect(bestAffordable).toBeGreaterThan(before.quality + 0.1);
  // … and some is as good as the best single model, for much less.
  const asGood = dial.filter(({ quality }) => quality >= best.quality);
  const cheapest = Math.min(...asGood.map(({ costPer1000Usd }) => costPer1000Usd));
  expect(cheapest / best.costPer1000Usd).toBeLessThan(0.6);
}, 300_000);
