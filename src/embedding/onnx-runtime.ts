/**
 * onnxruntime on a thread of its own, supervised: started at the first use, at most so many calls
 * waiting, a time limit per call, and a new thread when one hangs or dies. Models are opened again
 * there, so a session outlives its thread.
 */
import { GatewayError } from "../domain/errors.ts";
import { build } from "../std/build.ts";
import type { Clock } from "../std/clock.ts";
import { createRpcClient, type Remote, type RpcClient, RpcError } from "../std/rpc.ts";
import type {
  EncoderChoice,
  FloatRows,
  OnnxService,
  OpenedEncoder,
  OpenedModel,
} from "./onnx-thread.ts";
import type { OnnxApi } from "./onnx-worker.ts";

/** A thread as the runtime sees it; the real one is a Worker, tests have their own. */
export interface OnnxThread {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
  onDeath(listener: (reason: string) => void): void;
  /** While a call waits, the thread keeps the process alive; idle, it does not. */
  keepAlive(busy: boolean): void;
  terminate(): void;
}

export interface OnnxRuntimeOptions {
  readonly clock: Clock;
  /** Calls that may wait at once; one more fails with `overloaded`. */
  readonly maxWaiting?: number;
  /** A run that takes longer fails, and its thread, if it answers nothing else, is replaced. */
  readonly runTimeoutMs?: number;
  /** Opening compiles the runtime the first time, and reads a model of up to hundreds of megabytes. */
  readonly openTimeoutMs?: number;
  readonly spawn?: () => OnnxThread;
}

export interface OnnxSession {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** float32 [n, d] → float32 [n, m], row-major: the model's first input and output. */
  run(input: Float32Array, rows: number): Promise<Float32Array>;
  close(): void;
}

export interface OnnxEncoder extends Omit<OpenedEncoder, "session"> {
  encode(text: string): Promise<Float32Array>;
  close(): void;
}

export interface OnnxRuntime {
  /**
   * A session of a model with standard operators only.
   * @throws GatewayError artifact_refused when it is not one, or onnxruntime will not have it.
   */
  openModel(bytes: Uint8Array): Promise<OnnxSession>;
  /** A sentence transformer: a folder, or a model file with its tokenizer beside it. */
  openEncoder(choice: EncoderChoice): Promise<OnnxEncoder>;
  /** Ends the thread; every waiting and later call fails. */
  close(): void;
}

/** Routers are small; an artifact may be 256 MiB in all. */
const maxModelBytes = 256 << 20;
/** A thread that dies again and again rests ever longer, up to half a minute. */
const firstRestMs = 100;
const longestRestMs = 30_000;

interface Alive {
  readonly thread: OnnxThread;
  readonly rpc: RpcClient<OnnxApi>;
  readonly service: Remote<OnnxService>;
  lastAnswerUs: number;
  /** Models being opened, which may rightly keep the thread busy for longer than a run may take. */
  opening: number;
}

export function createOnnxRuntime(options: OnnxRuntimeOptions): OnnxRuntime {
  const { clock, maxWaiting = 64, runTimeoutMs = 2000, openTimeoutMs = 60_000 } = options;
  const spawn = options.spawn ?? spawnWorker;
  let alive: Alive | undefined;
  let closed = false;
  let deaths = 0;
  let restUntil = 0;

  function start(): Alive {
    if (closed) throw new GatewayError("internal", "The ONNX runtime is closed.");
    if (alive) return alive;
    if (clock.now() < restUntil) {
      throw new GatewayError("overloaded", "The ONNX thread died and rests before its next start.");
    }
    const thread = spawn();
    const rpc = createRpcClient<OnnxApi>(
      { post: thread.post, listen: (onMessage) => thread.onMessage(onMessage) },
      maxWaiting,
    );
    const started: Alive = {
      thread,
      rpc,
      service: rpc.service("onnx"),
      lastAnswerUs: clock.monotonicUs(),
      opening: 0,
    };
    thread.onDeath((reason) => bury(started, reason));
    alive = started;
    return started;
  }

  function bury(dead: Alive, reason: string): void {
    if (alive !== dead) return;
    alive = undefined;
    dead.thread.terminate();
    dead.rpc.fail(new RpcError("worker_crashed", reason));
    restUntil = clock.now() + Math.min(longestRestMs, firstRestMs * 2 ** deaths);
    deaths++;
  }

  /**
   * One call with a time limit. When it passes, and the thread has answered nothing for as long and
   * opens no model, the thread is replaced.
   */
  async function limited<T>(
    on: Alive,
    timeoutMs: number,
    call: () => Promise<T>,
    isOpening: () => boolean,
  ): Promise<T> {
    on.thread.keepAlive(true);
    let cancel: () => void = () => undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(timeoutMs, () => {
        reject(new GatewayError("overloaded", `The ONNX thread took over ${timeoutMs} ms.`));
        const silentMs = (clock.monotonicUs() - on.lastAnswerUs) / 1000;
        if (silentMs >= timeoutMs && !isOpening()) bury(on, "it hung");
      });
    });
    try {
      const result = await Promise.race([call(), late]);
      deaths = 0;
      return result;
    } catch (thrown) {
      throw toGateway(thrown);
    } finally {
      cancel();
      on.lastAnswerUs = clock.monotonicUs();
      if (on.rpc.outstanding() === 0) on.thread.keepAlive(false);
    }
  }

  /** A model on whichever thread lives: opened again after a restart, before its next run. */
  function createHandle<O extends { readonly session: number }>(
    open: (service: Remote<OnnxService>) => Promise<O>,
  ) {
    let on: Alive | undefined;
    let opening: Promise<O> | undefined;
    let released = false;
    const ready = (): Promise<O> => {
      const now = start();
      if (on === now && opening) return opening;
      on = now;
      now.opening++;
      const call = () => open(now.service);
      const mine = limited(now, openTimeoutMs, call, () => false).finally(() => now.opening--);
      opening = mine;
      mine.catch(() => {
        if (opening === mine) opening = undefined;
      });
      return mine;
    };
    return {
      ready,
      async call<T>(run: (service: Remote<OnnxService>, session: number) => Promise<T>) {
        if (released) throw new GatewayError("internal", "This ONNX session is closed.");
        const { session } = await ready();
        const now = start();
        return limited(
          now,
          runTimeoutMs,
          () => run(now.service, session),
          () => now.opening > 0,
        );
      },
      close() {
        released = true;
        if (!opening || !on || on !== alive) return;
        const { service } = on;
        opening.then(({ session }) => service.call("release", { session })).catch(() => undefined); // it is gone with its thread
      },
    };
  }

  return {
    async openModel(bytes) {
      const params = { bytes, maxBytes: maxModelBytes };
      const handle = createHandle<OpenedModel>((service) => service.call("open", params));
      const { inputs, outputs } = await handle.ready();
      return {
        inputs,
        outputs,
        async run(data, rows) {
          const result = await handle.call<FloatRows>((service, session) =>
            service.call("run", { session, data, rows }),
          );
          return result.data;
        },
        close: handle.close,
      };
    },
    async openEncoder(choice) {
      let sha256: string | undefined;
      const handle = createHandle<OpenedEncoder>(async (service) => {
        const opened = await service.call("openEncoder", choice);
        sha256 ??= opened.sha256;
        if (opened.sha256 === sha256) return opened;
        throw new GatewayError(
          "artifact_refused",
          `The ONNX encoder at ${choice.path} has changed.`,
        );
      });
      const { session: _, ...about } = await handle.ready();
      return {
        ...about,
        encode: (text) =>
          handle.call<Float32Array>((service, session) =>
            service.call("encode", { session, text }),
          ),
        close: handle.close,
      };
    },
    close() {
      closed = true;
      const last = alive;
      alive = undefined;
      last?.rpc.fail(new RpcError("rpc_closed", "the ONNX runtime is closed"));
      last?.thread.terminate();
    },
  };
}

/** A failure of the other thread, as one of ours: its code where we know it. */
function toGateway(thrown: unknown): unknown {
  if (!(thrown instanceof RpcError)) return thrown;
  const { code, message } = thrown;
  if (code === "artifact_refused" || code === "config_invalid") {
    return new GatewayError(code, message, { cause: thrown });
  }
  if (code === "rpc_overloaded") {
    return new GatewayError("overloaded", "The ONNX thread has no room for another call.", {
      cause: thrown,
    });
  }
  return new GatewayError("internal", `The ONNX thread failed: ${message}`, { cause: thrown });
}

function spawnWorker(): OnnxThread {
  // In the binary an entry point lies where it lay below src.
  const url = build.compiled
    ? "./embedding/onnx-worker.ts"
    : new URL("./onnx-worker.ts", import.meta.url).href;
  const worker = new Worker(url) as Worker & { ref(): void; unref(): void };
  return {
    post: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    onMessage: (listener) => worker.addEventListener("message", (event) => listener(event.data)),
    onDeath(listener) {
      worker.addEventListener("error", (event) => listener(event.message));
      worker.addEventListener("close", () => listener("it ended"));
    },
    keepAlive: (busy) => (busy ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  };
}
