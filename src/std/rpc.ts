/**
 * Typed calls between two threads over one message port: requests with answers, and events.
 * A service is a plain object of methods that take one argument; what crosses is structured-cloned,
 * buffers named in `transfer` change hands instead.
 */

/** One end of a channel between threads. */
export interface Port {
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  listen(onMessage: (message: unknown) => void): void;
}

/** A failure on the other side: its code where it had one, and its message. No stack crosses. */
export class RpcError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RpcError";
    this.code = code;
  }
}

type AnyMethod = (params: never) => unknown;
type MethodOf<S> = { [M in keyof S]: S[M] extends AnyMethod ? M : never }[keyof S] & string;
type ParamsOf<F> = F extends (params: infer P) => unknown ? P : never;
type ResultOf<F> = F extends (params: never) => infer R ? Awaited<Plain<R>> : never;
type Plain<R> = R extends Promise<infer V> ? Promise<Plain<V>> : R extends Moved<infer V> ? V : R;

/** A service as the calling side sees it. */
export interface Remote<S> {
  /**
   * @throws RpcError with the other side's code; `rpc_overloaded` past the limit of outstanding
   *         calls; `rpc_closed` or `worker_crashed` when the other side is gone.
   */
  call<M extends MethodOf<S>>(
    method: M,
    params: ParamsOf<S[M]>,
    transfer?: readonly ArrayBuffer[],
  ): Promise<ResultOf<S[M]>>;
}

export interface RpcClient<A> {
  service<N extends keyof A & string>(name: N): Remote<A[N]>;
  /** Events that the other side emits; the answer stops listening. */
  on(event: string, listener: (payload: unknown) => void): () => void;
  outstanding(): number;
  /** Fails every outstanding call and every later one: the other side is gone. */
  fail(error: RpcError): void;
}

/** A result whose buffers change hands instead of being copied. */
export class Moved<T> {
  readonly value: T;
  readonly transfer: readonly ArrayBuffer[];
  constructor(value: T, transfer: readonly ArrayBuffer[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

// On the wire: [id, service, method, params] → [id, true, result] or [id, false, code, message];
// events go as [0, event, payload].
type Request = readonly [id: number, service: string, method: string, params: unknown];
type Answer =
  | readonly [id: number, ok: true, result: unknown]
  | readonly [id: number, ok: false, code: string, message: string];
type EventMessage = readonly [id: 0, event: string, payload: unknown];

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: RpcError) => void;
}

/** Calls that may wait for an answer at once; past it a call fails instead of piling up. */
export const maxOutstandingCalls = 1024;

export function createRpcClient<A>(port: Port, limit = maxOutstandingCalls): RpcClient<A> {
  const waiting = new Map<number, Waiting>();
  const listeners = new Map<string, Set<(payload: unknown) => void>>();
  let lastId = 0;
  let gone: RpcError | undefined;

  port.listen((message) => {
    const received = message as Answer | EventMessage;
    if (typeof received[1] === "string") {
      for (const listener of listeners.get(received[1]) ?? []) listener(received[2]);
      return;
    }
    settle(received as Answer);
  });

  function settle(answer: Answer): void {
    const one = waiting.get(answer[0]);
    if (!one) return; // answered after fail(): nobody waits any more
    waiting.delete(answer[0]);
    if (answer[1]) one.resolve(answer[2]);
    else one.reject(new RpcError(answer[2], answer[3]));
  }

  function call(
    service: string,
    method: string,
    params: unknown,
    transfer?: readonly ArrayBuffer[],
  ) {
    if (gone) return Promise.reject(gone);
    if (waiting.size >= limit) {
      const full = `${limit} calls to the background thread are waiting already`;
      return Promise.reject(new RpcError("rpc_overloaded", full));
    }
    const id = ++lastId;
    return new Promise<unknown>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      try {
        port.post([id, service, method, params] satisfies Request, transfer);
      } catch (thrown) {
        waiting.delete(id);
        reject(new RpcError("rpc_unsendable", messageOf(thrown), { cause: thrown }));
      }
    });
  }

  return {
    service: (name) => ({
      call: (method, params, transfer) => call(name, method, params, transfer) as never,
    }),
    on(event, listener) {
      const set = listeners.get(event) ?? new Set();
      listeners.set(event, set.add(listener));
      return () => set.delete(listener);
    },
    outstanding: () => waiting.size,
    fail(error) {
      gone = error;
      const failed = [...waiting.values()];
      waiting.clear();
      for (const one of failed) one.reject(error);
    },
  };
}

/** Loads a service at its first call, so that what is never used costs neither time nor memory. */
export type Services<A> = {
  readonly [N in keyof A]: (emit: Emit) => A[N] | Promise<A[N]>;
};
export type Emit = (event: string, payload: unknown, transfer?: readonly ArrayBuffer[]) => void;

/**
 * Answers calls on a port. Calls of one service start in the order they came (the first one waits
 * for the service to load, the others behind it); a failed load is tried again by the next call.
 */
export function serveRpc<A extends object>(port: Port, services: Services<A>): void {
  const loaded = new Map<string, Promise<object>>();
  const emit: Emit = (event, payload, transfer) => port.post([0, event, payload], transfer);

  function load(name: string): Promise<object> {
    const held = loaded.get(name);
    if (held) return held;
    const opener = Object.hasOwn(services, name) ? services[name as keyof A] : undefined;
    if (!opener) return Promise.reject(new RpcError("rpc_unknown", `no service "${name}"`));
    const opening = Promise.resolve(opener(emit)) as Promise<object>;
    loaded.set(name, opening);
    opening.catch(() => loaded.delete(name));
    return opening;
  }

  async function answer([id, name, method, params]: Request): Promise<void> {
    try {
      const service = (await load(name)) as Record<string, AnyMethod | undefined>;
      const run = service[method];
      if (typeof run !== "function") {
        throw new RpcError("rpc_unknown", `no method "${name}.${method}"`);
      }
      const result = await run.call(service, params as never);
      if (result instanceof Moved) port.post([id, true, result.value], result.transfer);
      else port.post([id, true, result]);
    } catch (thrown) {
      port.post([id, false, codeOf(thrown), messageOf(thrown)]);
    }
  }

  port.listen((message) => void answer(message as Request));
}

function codeOf(thrown: unknown): string {
  const code = typeof thrown === "object" && thrown !== null && "code" in thrown ? thrown.code : "";
  return typeof code === "string" && code !== "" ? code : "internal";
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
