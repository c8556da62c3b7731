/** Bodies that come slowly, on a virtual clock. What the runtime ends is in test/torture/http.test.ts. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import type { GatewayError } from "../domain/errors.ts";
import { type Reception, readBytes, readPieces, receiveLimits } from "./read-body.ts";

const receiveMs = 10_000;

function createCase() {
  const clock = createVirtualClock();
  const config = { routeiq: { bodyLimitBytes: 500_000, timeouts: { receiveMs } } };
  let held = 0;
  const connections = { hold: () => void held++ };
  const reception = { clock, config, connections } as unknown as Reception;
  let sink: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      sink = controller;
    },
  });
  const request = new Request("http://x/", { method: "POST", body });
  const read = readBytes(request, reception).then(
    (bytes) => bytes.byteLength,
    ({ code }: GatewayError) => code,
  );
  return {
    clock,
    read,
    request,
    reception,
    send: (bytes: number) => sink?.enqueue(new Uint8Array(bytes)),
    end: () => sink?.close(),
    fail: () => sink?.error(new DOMException("The connection was closed.", "AbortError")),
    held: () => held,
  };
}

describe("a body without a length", () => {
  test("that comes in time is read, and no timer is left", async () => {
    const { clock, read, send, end, held } = createCase();
    send(5);
    await clock.advance(receiveMs - 1);
    end();
    expect(await read).toBe(5);
    expect(clock.pending).toBe(0);
    expect(held()).toBe(1);
  });

  test("that never comes is refused at the limit", async () => {
    const { clock, read } = createCase();
    await clock.advance(receiveMs);
    expect(await read).toBe("request_timeout");
    expect(clock.pending).toBe(0);
  });

  test("of a byte a second is refused all the same", async () => {
    const { clock, read, send } = createCase();
    for (let i = 0; i < 11; i++) {
      send(1);
      await clock.advance(1000);
    }
    expect(await read).toBe("request_timeout");
  });

  test("that is big has the time that it needs", async () => {
    const { clock, read, send, end } = createCase();
    const perSecond = receiveLimits.minBytesPerMs * 1000;
    for (let i = 0; i < 40; i++) {
      send(perSecond);
      await clock.advance(1000);
    }
    end();
    expect(await read).toBe(40 * perSecond);
  });

  test("over the limit is refused at once", async () => {
    const { clock, read, send } = createCase();
    send(500_001);
    await clock.advance(0);
    expect(await read).toBe("body_too_large");
    expect(clock.pending).toBe(0);
  });

  test("whose caller leaves is no failure of ours", async () => {
    const { clock, read, send, fail } = createCase();
    send(5);
    await clock.advance(10);
    fail();
    expect(await read).toBe("caller_gone");
    expect(clock.pending).toBe(0);
  });
});

test("the time that the reader takes is not the caller's", async () => {
  const { clock, reception } = createCase();
  const pieces = new ReadableStream<Uint8Array>({
    start(sink) {
      sink.enqueue(new Uint8Array(1));
      sink.enqueue(new Uint8Array(1));
      sink.close();
    },
  });
  const request = new Request("http://x/", { method: "POST", body: pieces });
  let size = 0;
  for await (const piece of readPieces(request, reception, 100)) {
    size += piece.length;
    await clock.advance(receiveMs * 2);
  }
  expect(size).toBe(2);
});
