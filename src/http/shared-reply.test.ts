/** One source, several readers, bounded memory. */
import { expect, test } from "bun:test";
import { Allowance, shareReply } from "./shared-reply.ts";

const noop = () => undefined;
const source = (pieces: readonly string[], onCancel: () => void = noop) => {
  const left = [...pieces];
  return new ReadableStream<Uint8Array>(
    {
      pull(sink) {
        const piece = left.shift();
        if (piece === undefined) sink.close();
        else sink.enqueue(new TextEncoder().encode(piece));
      },
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  );
};
test("each reader has all of it, and it is drawn once", async () => {
  const ends: boolean[] = [];
  const allowance = new Allowance(100);
  const shared = shareReply(source(["a", "b", "c"]), 50, allowance, (end) => ends.push(end));
  let left = 0;
  const first = new Response(shared.read(() => left++)).text();
  const second = new Response(shared.read(() => left++)).text();
  expect([await first, await second]).toEqual(["abc", "abc"]);
  expect(ends).toEqual([true]);
  expect(left).toBe(2);
  expect(new TextDecoder().decode(shared.bytes())).toBe("abc");
  expect(await new Response(shared.read(noop)).text()).toBe("abc");
  expect(allowance.left).toBe(100);
});

test.each([
  ["its own limit", 4, 100],
  ["what all may hold", 100, 4],
])("beyond %s it loses its beginning; its first reader misses nothing", async (_, own, all) => {
  const allowance = new Allowance(all);
  const shared = shareReply(source(["aa", "bb", "cc"]), own, allowance, noop);
  expect(await new Response(shared.read(noop)).text()).toBe("aabbcc");
  expect(shared.whole).toBe(false);
  expect(shared.bytes()).toBeUndefined();
  expect(new Response(shared.read(noop)).text()).rejects.toThrow("too far behind");
  expect(allowance.left).toBe(all);
});

test("cancelled: readers are told, the source is let go", async () => {
  let gone = false;
  const stream = source(["a", "b"], () => {
    gone = true;
  });
  const shared = shareReply(stream, 50, new Allowance(100), noop);
  const reader = shared.read(noop).getReader();
  await reader.read();
  shared.cancel();
  expect(gone).toBe(true);
  expect(async () => {
    for (;;) await reader.read();
  }).toThrow("nobody reads");
});
