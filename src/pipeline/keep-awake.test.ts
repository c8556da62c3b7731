/** A stream that waits is not silent, and loses nothing. */
import { expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { keepAwake } from "./keep-awake.ts";

const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

test("comments come while nothing does, and then what was waited for", async () => {
  const clock = createVirtualClock();
  const late = Promise.withResolvers<Uint8Array | undefined>();
  const answers = [new TextEncoder().encode("first"), late.promise, undefined];
  let cancelled = "";
  const stream = keepAwake(
    {
      next: () => answers.shift(),
      cancel: (reason) => {
        cancelled = reason;
      },
    },
    clock,
  );
  expect(text(await stream.next())).toBe("first");
  for (let i = 0; i < 2; i++) {
    const next = stream.next();
    await clock.advance(15_000);
    expect(text(await next)).toBe(": ping\n\n");
  }
  const next = stream.next();
  late.resolve(new TextEncoder().encode("second"));
  expect(text(await next)).toBe("second");
  expect(await stream.next()).toBeUndefined();
  expect(clock.pending).toBe(0);
  stream.cancel("gone");
  expect(cancelled).toBe("gone");
});
