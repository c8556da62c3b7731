/** A document that takes too long is ended with its thread; the others, and the end of the gateway, do not wait for it. */
import { afterEach, expect, test } from "bun:test";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import type { WorkerLike } from "../../std/background.ts";
import { createDocumentReader, type DocumentReader } from "./document-reader.ts";

/** Answers what is named `fast` at once, and nothing else ever. */
interface StubThread extends WorkerLike {
  ended: boolean;
  asked: number;
}

function stubThread(): StubThread {
  const listeners: ((event: { readonly data?: unknown }) => void)[] = [];
  const thread: StubThread = {
    ended: false,
    asked: 0,
    postMessage(message) {
      thread.asked += 1;
      const [id, , , { filename }] = message as [number, string, string, { filename: string }];
      if (filename === "slow") return;
      const answer =
        filename === "fast" ? [id, true, ["text"]] : [id, false, "invalid_file", "damaged"];
      for (const listener of listeners) listener({ data: answer });
    },
    addEventListener(type, listener) {
      if (type === "message") listeners.push(listener);
    },
    terminate() {
      thread.ended = true;
    },
  };
  return thread;
}

let reader: DocumentReader;
afterEach(() => reader.close());

function start(timeoutMs = 50) {
  const threads: StubThread[] = [];
  const clock = createVirtualClock();
  const spawn = () => {
    const thread = stubThread();
    threads.push(thread);
    return thread;
  };
  reader = createDocumentReader({ spawn, clock, timeoutMs: () => timeoutMs });
  return { threads, clock };
}

const chunks = { maxTokens: 800, overlapTokens: 400 };
const read = (filename: string, signal = new AbortController().signal) =>
  reader.read({ bytes: new Uint8Array(1), filename, chunks }, signal);
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => "no failure",
    (error: unknown) => error,
  );

test("a slow one is ended at its limit, and nobody waits for it", async () => {
  const { threads, clock } = start();
  const slow = failureOf(read("slow"));
  expect(await read("fast")).toEqual(["text"]);
  await clock.advance(49);
  expect(threads.map(({ ended }) => ended)).toEqual([false, false]);
  await clock.advance(1);
  expect(await slow).toMatchObject({
    code: "invalid_file",
    message: expect.stringContaining("within 50 ms (routeiq_settings.vector_stores"),
  });
  expect(threads.map(({ ended }) => ended)).toEqual([true, false]);
  expect(await read("fast")).toEqual(["text"]);
  expect(threads.map(({ asked }) => asked)).toEqual([1, 2]);
});

test("a thread that nobody needs goes; the next document has a new one", async () => {
  const { threads, clock } = start();
  await read("fast");
  await clock.advance(29_999);
  await read("fast");
  await clock.advance(29_999);
  expect(threads.map(({ ended }) => ended)).toEqual([false]);
  await clock.advance(1);
  expect(threads.map(({ ended }) => ended)).toEqual([true]);
  expect(await read("fast")).toEqual(["text"]);
  expect(threads).toHaveLength(2);
});

test("a damaged one takes its thread along", async () => {
  const { threads } = start();
  expect(await failureOf(read("damaged"))).toMatchObject({
    code: "invalid_file",
    message: "damaged",
  });
  expect(threads.map(({ ended }) => ended)).toEqual([true]);
});

test("the end of the gateway ends it at once, with the reason", async () => {
  const { threads } = start();
  const stop = new AbortController();
  const slow = failureOf(read("slow", stop.signal));
  stop.abort(new Error("the gateway closes"));
  expect(String(await slow)).toContain("the gateway closes");
  expect(threads.map(({ ended }) => ended)).toEqual([true]);
  reader.close();
  expect(await failureOf(read("fast"))).toMatchObject({ code: "draining" });
});
