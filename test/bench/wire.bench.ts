/** The wire: what an event costs that passes, what one costs that is translated, and a spliced body. */
import type { Dialect } from "../../src/dialects/dialect.ts";
import { dialects } from "../../src/dialects/registry.ts";
import { parseJson, spliceJson } from "../../src/std/json.ts";
import { createSseParser, type SseFrame } from "../../src/std/sse.ts";
import { type BenchContext, type BenchRow, defineBench } from "./bench.ts";

const request = { model: "auto", messages: [] };
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Chunks of one event each, as providers send them, written by our own encoder. */
async function streamOf(dialect: Dialect, events: number): Promise<Uint8Array[]> {
  const { "openai-chat": openai } = dialects;
  const chunk = (delta: object, finish: string | null = null) =>
    JSON.stringify({
      id: "chatcmpl-AbCdEf123",
      object: "chat.completion.chunk",
      created: 1694268190,
      model: "gpt-4o-mini-2024-07-18",
      service_tier: "default",
      system_fingerprint: "fp_44709d6fcb",
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      usage: null,
    });
  const frame = (data: string): SseFrame => ({ event: "", data, raw: new Uint8Array() });
  async function* frames() {
    for (let i = 0; i < events; i++) yield frame(chunk({ content: ` word${i}` }));
    yield frame(chunk({}, "stop"));
  }
  const chunks: Uint8Array[] = [];
  for await (const text of dialect.encodeStream(openai.decodeStream(frames()), request)) {
    chunks.push(bytesOf(text));
  }
  return chunks;
}

/** The least of several rounds: what the code costs when nothing is in its way. */
async function best(rounds: number, perRound: number, work: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = process.cpuUsage().user;
    await work();
    least = Math.min(least, (process.cpuUsage().user - start) / perRound);
  }
  return least;
}

export const wireBench = defineBench("wire", async (context) => [
  ...(await events(context)),
  ...(await bodies(context)),
]);

async function events({ size }: BenchContext): Promise<readonly BenchRow[]> {
  const rows: BenchRow[] = [];
  const count = size(50, 20_000);
  for (const from of Object.values(dialects)) {
    const chunks = await streamOf(from, count);
    const passing = await best(size(1, 12), count, () => {
      const parser = createSseParser();
      const watch = from.createStreamWatch();
      for (const chunk of chunks) for (const frame of parser.push(chunk)) watch.see(frame);
      return watch.end();
    });
    rows.push(row(`an event of ${from.name} that passes: parsed, facts read off`, passing));
    for (const to of Object.values(dialects)) {
      if (to === from) continue;
      const translated = await best(size(1, 12), count, async () => {
        const parser = createSseParser();
        async function* frames() {
          for (const chunk of chunks) yield* parser.push(chunk);
        }
        let length = 0;
        for await (const text of to.encodeStream(from.decodeStream(frames()), request)) {
          length += text.length;
        }
        return length;
      });
      rows.push(row(`an event translated from ${from.name} to ${to.name}`, translated));
    }
  }
  return rows;
}

const row = (what: string, us: number): BenchRow => ({
  what,
  measured: `${us.toFixed(1)} µs CPU`,
  budget: "≤ 30 µs with everything else",
  ok: us <= 30,
});

async function bodies({ size }: BenchContext): Promise<readonly BenchRow[]> {
  const content = "Say what you see, and why it matters.\n".repeat(70);
  const messages = Array.from({ length: 40 }, () => ({ role: "user", content }));
  const text = JSON.stringify({ model: "auto", messages, stream: true });
  const bytes = bytesOf(text);
  const edits = { model: { set: '"m"' }, stream_options: { merge: { include_usage: "true" } } };
  const times = size(2, 50);
  const measure = (work: () => unknown) =>
    best(size(1, 12), times, () => {
      for (let i = 0; i < times; i++) work();
    });
  const spliced = await measure(() => spliceJson(text, edits));
  const anew = await measure(() => JSON.stringify(parseJson(bytes)));
  const kb = Math.round(bytes.length / 1024);
  return [
    {
      what: `the model's name spliced into a body of ${kb} KB`,
      measured: `${spliced.toFixed(0)} µs CPU`,
      detail: `parsing it and writing it anew: ${anew.toFixed(0)} µs`,
    },
  ];
}
