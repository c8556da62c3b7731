/**
 * One background thread for everything slow. Starts at the first call, and again after a crash
 * (with a growing pause); whoever keeps state in it is told, and opens anew.
 */
import type { Clock } from "./clock.ts";
import { createRpcClient, type Port, type Remote, type RpcClient, RpcError } from "./rpc.ts";

/** The part of a Web Worker that is used here, so that a test can stand in. */
export interface WorkerLike {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  addEventListener(
    type: "message" | "error" | "close",
    listener: (event: { readonly data?: unknown; readonly message?: string }) => void,
  ): void;
  terminate(): void;
}

export interface BackgroundOptions {
  readonly spawn: () => WorkerLike;
  readonly clock: Clock;
  /** Told of every crash: message, and how many there were. */
  readonly onCrash: (message: string, crashes: number) => void;
}

export interface Background<A> {
  /** Stays valid over restarts. A call while the thread is down fails with `worker_crashed`. */
  service<N extends keyof A & string>(name: N): Remote<A[N]>;
  /** Calls back when the thread runs again after a crash. */
  onRestart(listener: () => void): void;
  on(event: string, listener: (payload: unknown) => void): void;
  close(): void;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** A thread that ran so long before it crashed starts again as if it were the first time. */
const steadyMs = 60_000;

export function createBackground<A>(options: BackgroundOptions): Background<A> {
  const restarted: (() => void)[] = [];
  const listeners: (readonly [string, (payload: unknown) => void])[] = [];
  let live: { readonly worker: WorkerLike; readonly client: RpcClient<A> } | undefined;
  let down: RpcError | undefined;
  let crashes = 0;
  let inARow = 0;
  let startedAtMs = 0;
  let cancelRestart: (() => void) | undefined;

  function start(): RpcClient<A> {
    const worker = options.spawn();
    const client = createRpcClient<A>(toPort(worker));
    for (const [event, listener] of listeners) client.on(event, listener);
    const onEnd = (message: string) => {
      if (live?.worker === worker) crashed(message);
    };
    worker.addEventListener("error", (event) => onEnd(event.message ?? "unknown error"));
    worker.addEventListener("close", () => onEnd("the thread ended"));
    live = { worker, client };
    startedAtMs = options.clock.now();
    return client;
  }

  function crashed(message: string): void {
    crashes++;
    inARow = options.clock.now() - startedAtMs > steadyMs ? 1 : inARow + 1;
    down = new RpcError("worker_crashed", `The background thread failed: ${message}`);
    live?.client.fail(down);
    live?.worker.terminate();
    live = undefined;
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (inARow - 1));
    cancelRestart = options.clock.after(pauseMs, () => {
      down = undefined;
      start();
      for (const listener of restarted) listener();
    });
    options.onCrash(message, crashes);
  }

  return {
    service: (name) => ({
      call: (method, params, transfer) => {
        if (down) return Promise.reject(down);
        return (live?.client ?? start()).service(name).call(method, params, transfer);
      },
    }),
    onRestart: (listener) => void restarted.push(listener),
    on(event, listener) {
      listeners.push([event, listener]);
      live?.client.on(event, listener);
    },
    close() {
      cancelRestart?.();
      down = new RpcError("rpc_closed", "The background thread is closed.");
      live?.client.fail(down);
      live?.worker.terminate();
      live = undefined;
    },
  };
}

function toPort(worker: WorkerLike): Port {
  return {
    post: (message, transfer) => worker.postMessage(message, transfer ? [...transfer] : []),
    listen: (onMessage) => worker.addEventListener("message", (event) => onMessage(event.data)),
  };
}
