/**
 * Documents are read in threads of their own, one document each: one that takes too long is ended with
 * its thread and holds up neither the others nor a search. A thread that nobody needs goes.
 */
import { GatewayError } from "../../domain/errors.ts";
import { type Background, createBackground, type WorkerLike } from "../../std/background.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { DocumentService, DocumentToRead } from "./document-thread.ts";

export interface DocumentReader {
  /**
   * Its passages. The bytes change hands.
   * @throws RpcError invalid_file (too slow as well), unsupported_file, worker_crashed; the signal's reason
   */
  read(document: DocumentToRead, signal: AbortSignal): Promise<readonly string[]>;
  close(): void;
}

export interface DocumentReaderOptions {
  readonly spawn: () => WorkerLike;
  readonly clock: Clock;
  /** `routeiq_settings.vector_stores.document_timeout_ms` as it is now. */
  readonly timeoutMs: () => number;
}

/** A thread kept for the next document, and its memory with it. */
const keepIdleMs = 30_000;

interface Api {
  readonly documents: DocumentService;
}

interface Idle {
  readonly thread: Background<Api>;
  readonly keep: () => void;
}

export function createDocumentReader(options: DocumentReaderOptions): DocumentReader {
  const { spawn, clock, timeoutMs } = options;
  const idle: Idle[] = [];
  const working = new Set<Background<Api>>();
  let closed = false;

  function take(): Background<Api> {
    const kept = idle.pop();
    kept?.keep();
    return kept?.thread ?? createBackground<Api>({ spawn, clock, onCrash: () => undefined });
  }

  function giveBack(thread: Background<Api>): void {
    const one: Idle = {
      thread,
      keep: clock.after(keepIdleMs, () => {
        idle.splice(idle.indexOf(one), 1);
        thread.close();
      }),
    };
    idle.push(one);
  }

  async function readIn(
    thread: Background<Api>,
    document: DocumentToRead,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const limitMs = timeoutMs();
    const done = new AbortController();
    const late = sleep(clock, limitMs, AbortSignal.any([done.signal, signal])).then(() => {
      throw tooSlow(limitMs);
    });
    late.catch(() => undefined); // also told where it has ended in time
    try {
      const { buffer } = document.bytes;
      const transfer = buffer instanceof ArrayBuffer ? [buffer] : [];
      const answer = thread.service("documents").call("readPassages", document, transfer);
      return await Promise.race([answer, late]);
    } finally {
      done.abort();
    }
  }

  return {
    async read(document, signal) {
      signal.throwIfAborted();
      if (closed) throw new GatewayError("draining", "The gateway closes.");
      const thread = take();
      working.add(thread);
      try {
        const passages = await readIn(thread, document, signal);
        if (closed) thread.close();
        else giveBack(thread);
        return passages;
      } catch (thrown) {
        // Whatever it left behind goes with it: a library in the midst of a damaged file, or a loop.
        thread.close();
        throw thrown;
      } finally {
        working.delete(thread);
      }
    },
    close() {
      closed = true;
      for (const { thread, keep } of idle.splice(0)) {
        keep();
        thread.close();
      }
      for (const thread of working) thread.close();
    },
  };
}

function tooSlow(limitMs: number): RpcError {
  const message = `The document was not read within ${limitMs} ms (routeiq_settings.vector_stores.document_timeout_ms): split it, or raise the limit.`;
  return new RpcError("invalid_file", message);
}
