/** Processor time of the calling thread, to the microsecond: what others take of it does not count. */
import { dlopen, FFIType, ptr } from "bun:ffi";

const threadCpuClock = 3; // CLOCK_THREAD_CPUTIME_ID

/** Undefined where there is no such clock to be had. */
export function openThreadClock(): (() => number) | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const { symbols } = dlopen("libc.so.6", {
      clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
    });
    const time = new BigInt64Array(2);
    const at = ptr(time);
    return () => {
      symbols.clock_gettime(threadCpuClock, at);
      return Number(time[0]) * 1e6 + Number(time[1]) / 1e3;
    };
  } catch {
    return undefined; // another C library
  }
}
