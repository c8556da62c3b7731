/** Calls between threads: answers, failures, order, limits; and a thread that crashes. */
import { describe, expect, test } from "bun:test";
import { createBackground, type WorkerLike } from "./background.ts";
import { createRpcClient, type Emit, Moved, type Port, RpcError, serveRpc } from "./rpc.ts";

/** Two ends that clone what passes, as threads do. */
function channel(): [Port, Port] {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2].map((port) => ({
    post: (message: unknown, transfer: readonly ArrayBuffer[] = []) =>
      port.postMessage(message, [...transfer]),
    listen: (onMessage: (message: unknown) => void) => {
      port.onmessage = (event) => onMessage(event.data);
    },
  })) as [Port, Port];
}

const math = {
  double: (n: number) => n * 2,
  later: async (text: string) => `${text}!`,
  refuse: (_: null) => {
    throw Object.assign(new Error("no room"), { code: "storage_failed" });
  },
  bytes: (n: number) => {
    const made = new Uint8Array(n).fill(7);
    return new Moved({ made }, [made.buffer]);
  },
};
type Api = { math: typeof math };

function connect(limit?: number) {
  const [near, far] = channel();
  let loads = 0;
  let emitted: Emit | undefined;
  serveRpc<Api>(far, {
    math: async (emit) => {
      loads++;
      emitted = emit;
      return math;
    },
  });
  const client = createRpcClient<Api>(near, limit);
  return { client, math: client.service("math"), loads: () => loads, emit: () => emitted as Emit };
}

describe("rpc", () => {
  test("answers, in order, from a service loaded once", async () => {
    const { math, loads } = connect();
    expect(loads()).toBe(0);
    const answers = await Promise.all([math.call("double", 2), math.call("later", "hi")]);
    expect(answers).toEqual([4, "hi!"]);
    expect(loads()).toBe(1);
  });

  test("buffers change hands", async () => {
    const { math } = connect();
    const { made } = await math.call("bytes", 3);
    expect([...made]).toEqual([7, 7, 7]);
  });

  test("a failure carries code and message", async () => {
    const { math } = connect();
    const failed = await math.call("refuse", null).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RpcError);
    expect(failed).toMatchObject({ code: "storage_failed", message: "no room" });
  });

  test.each([
    ["nothing", "x"],
    ["math", "nothing"],
    ["math", "__proto__"],
    ["constructor", "x"],
  ])("unknown %s.%s is refused", async (service, method) => {
    const { client } = connect();
    const call = client.service(service as "math").call(method as "double", 1);
    expect(await call.catch((error: RpcError) => error.code)).toBe("rpc_unknown");
  });

  test("calls past the limit fail at once, and what cannot be sent says so", async () => {
    const { math } = connect(1);
    const first = math.call("double", 1);
    expect(await math.call("double", 1).catch((e: RpcError) => e.code)).toBe("rpc_overloaded");
    expect(await first).toBe(2);
    const unsendable = (() => 1) as unknown as number;
    expect(await math.call("double", unsendable).catch((e: RpcError) => e.code)).toBe(
      "rpc_unsendable",
    );
  });

  test("events reach their listeners until they stop", async () => {
    const { client, math, emit } = connect();
    await math.call("double", 1);
    const heard: unknown[] = [];
    const stop = client.on("tick", (payload) => heard.push(payload));
    emit()("tick", 1);
    await math.call("double", 1);
    stop();
    emit()("tick", 2);
    await math.call("double", 1);
    expect(heard).toEqual([1]);
  });
});

describe("background", () => {
  /** A worker on a channel, that a test can crash. */
  function fakeWorker() {
    const [near, far] = channel();
    const crash: ((event: { message: string }) => void)[] = [];
    serveRpc<Api>(far, { math: () => math });
    const worker: WorkerLike = {
      postMessage: (message, transfer) => near.post(message, transfer),
      addEventListener(type, listener) {
        if (type === "message") near.listen((data) => listener({ data }));
        if (type === "error") crash.push(listener);
      },
      terminate: () => undefined,
    };
    return {
      worker,
      crash() {
        for (const listener of crash) listener({ message: "boom" });
      },
    };
  }

  test("a crash fails what waits, then a new thread takes over and its users are told", async () => {
    const workers: ReturnType<typeof fakeWorker>[] = [];
    const timers: (() => void)[] = [];
    const crashes: string[] = [];
    const background = createBackground<Api>({
      spawn: () => {
        const made = fakeWorker();
        workers.push(made);
        return made.worker;
      },
      clock: {
        now: () => 0,
        monotonicUs: () => 0,
        after: (_, callback) => {
          timers.push(callback);
          return () => undefined;
        },
      },
      onCrash: (message) => crashes.push(message),
    });
    const remote = background.service("math");
    let told = 0;
    background.onRestart(() => told++);
    expect(workers).toHaveLength(0);
    expect(await remote.call("double", 4)).toBe(8);
    const waiting = remote.call("double", 4).catch((error: RpcError) => error.code);
    workers[0]?.crash();
    expect(await waiting).toBe("worker_crashed");
    expect(await remote.call("double", 4).catch((e: RpcError) => e.code)).toBe("worker_crashed");
    timers[0]?.();
    expect(await remote.call("double", 5)).toBe(10);
    expect([told, workers.length, crashes]).toEqual([1, 2, ["boom"]]);
    background.close();
    expect(await remote.call("double", 4).catch((e: RpcError) => e.code)).toBe("rpc_closed");
  });
});
