/** A process of ours that must not outlive the one that started it, whatever ended that. */
import { dlopen, FFIType } from "bun:ffi";

const prSetParentDeathSignal = 1;
const sigkill = 9;
export const libcNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"] as const;

/** Linux alone: one in an endless loop never hears that its parent is gone. Elsewhere a channel's end tells it. */
export function dieWithParent(): void {
  if (process.platform !== "linux") return;
  for (const library of libcNames) {
    try {
      const { symbols } = dlopen(library, {
        prctl: { args: [FFIType.i32, FFIType.u64], returns: FFIType.i32 },
      });
      symbols.prctl(prSetParentDeathSignal, sigkill);
      return;
    } catch {
      // another libc; without any of them the channel's end is what it hears
    }
  }
}
