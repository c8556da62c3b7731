/**
 * Providers that send anything at all: whatever a field holds, a reply or a stream ends in an answer
 * or in an error of ours, never in a crash. To replay a failure: SEED=17 bun test hostile
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";
import type { Dialect, ProviderDialect } from "../../src/dialects/dialect.ts";
import { dialects, providerDialects } from "../../src/dialects/registry.ts";
import { GatewayError } from "../../src/domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../src/domain/json.ts";
import { createRandom, nextInt, type Random } from "../../src/std/random.ts";
import type { SseFrame } from "../../src/std/sse.ts";
import { bytesOf, dialectOf, framesIn } from "../support/fixtures.ts";

const folder = join(import.meta.dir, "..", "fixtures");
const names = [...new Glob("*/{request,reply,stream}-*.json").scanSync(folder)].sort();
const all = Object.values(dialects);
const written: readonly ProviderDialect[] = [...all, ...Object.values(providerDialects)];
const models = [
  ...["claude-sonnet-4-5", "claude-3-5-haiku", "gpt-5", "gemini-2.5-pro", "gemini-3-pro"],
  ...["anthropic.claude-sonnet-4-5", "amazon.nova-2-lite-v1:0", "command-a-reasoning"],
];
const seed = Number(process.env["SEED"] ?? 1);
const odd: readonly Json[] = [
  null,
  0,
  -1,
  1.5,
  "",
  "x",
  true,
  [],
  {},
  [null],
  [[]],
  { type: 3 },
  "{",
];

/** A copy with one to three values, somewhere, replaced by odd ones or gone. */
function damage(random: Random, value: Json, share = 0.04): Json {
  if (random.next() < share) return odd[nextInt(random, odd.length)] ?? null;
  if (Array.isArray(value)) return value.map((each: Json) => damage(random, each, share));
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(() => random.next() > share / 2);
  return Object.fromEntries(kept.map(([key, each]) => [key, damage(random, each ?? null, share)]));
}

async function survive(work: () => unknown, what: unknown): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.code === "internal") {
      throw new Error(`SEED=${seed}: ${JSON.stringify(what)}`, { cause: thrown });
    }
  }
}

describe.each(names)("%s", (name) => {
  const from = dialectOf(name);

  test("damaged in every way", async () => {
    const random = createRandom(seed);
    const { wire, kind } = await Bun.file(join(folder, name)).json();
    const frames = kind === "stream" ? await framesIn(bytesOf(wire), from, 1 << 20) : [];
    for (let round = 0; round < 60; round++) {
      if (kind === "stream") await stream(random, frames, from);
      else if (kind === "reply") await reply(damage(random, wire), from);
      else await request(damage(random, wire), from as Dialect);
    }
    expect(random.next()).toBeNumber();
  });
});

async function request(body: Json, from: Dialect): Promise<void> {
  if (!isObject(body)) return;
  for (const to of written) {
    for (const model of models) {
      await survive(
        () => to.encodeRequest(from.decodeRequest(body), model, { dropParams: true }),
        body,
      );
    }
  }
}

async function reply(body: Json, from: ProviderDialect): Promise<void> {
  if (!isObject(body)) return;
  for (const to of all) await survive(() => to.encodeReply(from.decodeReply(body)), body);
  await survive(() => [from.usageOf(body), from.finishReasonOf(body)], body);
}

async function stream(
  random: Random,
  sent: readonly SseFrame[],
  from: ProviderDialect,
): Promise<void> {
  const frames = sent
    .filter(() => random.next() > 0.05)
    .map((frame) => ({ ...frame, data: damageText(random, frame.data) }));
  async function* each() {
    yield* frames;
  }
  for (const to of all) {
    await survive(async () => {
      const request = { model: "m", messages: [] };
      for await (const part of to.encodeStream(from.decodeStream(each()), request))
        expect(part).toBeString();
    }, frames);
  }
  const watch = from.createStreamWatch?.();
  if (!watch) return;
  for (const frame of frames) await survive(() => watch.see(frame), frame);
  await survive(() => watch.end(), frames);
}

function damageText(random: Random, text: string): string {
  if (!text.startsWith("{") || !text.endsWith("}")) return text;
  const damaged = JSON.stringify(damage(random, JSON.parse(text) as JsonObject, 0.02));
  return random.next() < 0.02 ? damaged.slice(0, nextInt(random, damaged.length)) : damaged;
}
