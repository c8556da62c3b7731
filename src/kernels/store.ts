/**
 * Kernels instances that are used again. A new memory may cost the runtime a whole, stopping garbage
 * collection (JavaScriptCore keeps few with guard pages, and looks for dead ones when it wants
 * another), and new functions that no call site knows: a router that takes another's place should
 * find both.
 */
import type { Kernels } from "./kernels.ts";

export interface KernelStore {
  /** An instance with `bytes` to allocate, all zero. */
  take(bytes: number): Kernels;
  /** Whoever gives it back holds no pointer into it any more. */
  give(kernels: Kernels): void;
}

/** Instances that wait: the one of the router before last is enough for swaps without end. */
const kept = 2;
/** Sizes are rounded up to so much, so that routers of about one size fit each other's. */
const step = 1 << 20;

export function createKernelStore(create: (bytes: number) => Kernels): KernelStore {
  const free: Kernels[] = [];
  return {
    take(bytes) {
      const at = free.findIndex(({ memory }) => memory.byteLength >= bytes + step / 16);
      const [found] = at < 0 ? [] : free.splice(at, 1);
      if (!found) return create(Math.ceil(bytes / step) * step);
      found.reset();
      return found;
    },
    give(kernels) {
      free.push(kernels);
      if (free.length > kept) free.shift();
    },
  };
}

/**
 * One instance for all parts of a router, who each say how much they allocate at most; who does not
 * fit in gets one of their own.
 */
export function shareKernels(
  create: (bytes: number) => Kernels,
  capacity: number,
): { readonly create: (bytes: number) => Kernels; readonly shared: () => Kernels | undefined } {
  let shared: Kernels | undefined;
  let left = capacity;
  return {
    create(bytes) {
      if (bytes > left) return create(bytes);
      left -= bytes;
      shared ??= create(capacity);
      return shared;
    },
    shared: () => shared,
  };
}
