/**
 * This process gives up what it does not need, for good: no file can be opened, no socket, no other
 * process, whatever runs in it. Linux: a seccomp filter over all of its threads, in force until it
 * ends. What is open stays open.
 * Source: https://docs.kernel.org/userspace-api/seccomp_filter.html
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { libcNames } from "../std/die-with-parent.ts";

/** Classic BPF, as `struct sock_filter`: code, jump if true, jump if false, constant. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

const load = 0x20;
const ifEqual = 0x15;
const ifAny = 0x45;
const answer = 0x06;
const allow = 0x7fff_0000;
const refuse = (errno: number) => 0x0005_0000 | errno;
const notPermitted = 1;
const notImplemented = 38;
/** Offsets in `struct seccomp_data`; the lower half of the first argument on these machines. */
const at = { number: 0, machine: 4, firstArgument: 16 } as const;
/** A thread, no process. */
const cloneThread = 0x1_0000;
/** `prctl` may name a thread and its memory, and nothing else. */
const prctlNames = [15, 0x5356_4d41];

interface Machine {
  /** AUDIT_ARCH_*. */
  readonly audit: number;
  readonly seccomp: number;
  readonly prctl: number;
  readonly clone: number;
  readonly clone3: number;
  readonly tgkill: number;
  /**
   * Memory, threads, clocks, and what is open already: read, write, close, fstat, lseek, poll,
   * epoll, eventfd, futex, signals of its own, send and receive on a pair of sockets.
   */
  readonly allowed: readonly number[];
}

const machines: Readonly<Record<string, Machine>> = {
  x64: {
    audit: 0xc000_003e,
    ...{ seccomp: 317, prctl: 157, clone: 56, clone3: 435, tgkill: 234 },
    allowed: [
      ...[0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 24, 25, 28, 35, 39, 44, 45, 46],
      ...[47, 60, 72, 96, 98, 128, 130, 131, 143, 145, 186, 202, 204, 219, 228, 229, 230, 231, 232],
      ...[233, 271, 273, 281, 286, 290, 318, 324, 334, 441, 449],
    ],
  },
  arm64: {
    audit: 0xc000_00b7,
    ...{ seccomp: 277, prctl: 167, clone: 220, clone3: 435, tgkill: 131 },
    allowed: [
      ...[19, 21, 22, 25, 57, 62, 63, 64, 65, 66, 67, 73, 80, 86, 93, 94, 98, 99, 101, 113, 114],
      ...[115, 120, 121, 123, 124, 128, 132, 133, 134, 135, 137, 139, 165, 169, 172, 178, 206, 207],
      ...[211, 212, 214, 215, 216, 222, 226, 233, 278, 283, 293, 441, 449],
    ],
  },
};

/** The filter for a process, as the kernel reads it. Exported for its test. */
export function toFilter(machine: Machine, pid: number): readonly Instruction[] {
  const isOf = (number: number, body: readonly Instruction[]): Instruction[] => [
    [ifEqual, 0, body.length, number],
    ...body,
  ];
  return [
    [load, 0, 0, at.machine],
    [ifEqual, 1, 0, machine.audit],
    [answer, 0, 0, refuse(notPermitted)],
    [load, 0, 0, at.number],
    ...machine.allowed.flatMap((number) => isOf(number, [[answer, 0, 0, allow]])),
    // Its flags lie in memory, where no filter sees them; the C library falls back to clone.
    ...isOf(machine.clone3, [[answer, 0, 0, refuse(notImplemented)]]),
    ...isOf(machine.clone, [
      [load, 0, 0, at.firstArgument],
      [ifAny, 0, 1, cloneThread],
      [answer, 0, 0, allow],
      [answer, 0, 0, refuse(notPermitted)],
    ]),
    ...isOf(machine.tgkill, [
      [load, 0, 0, at.firstArgument],
      [ifEqual, 0, 1, pid],
      [answer, 0, 0, allow],
      [answer, 0, 0, refuse(notPermitted)],
    ]),
    ...isOf(machine.prctl, [
      [load, 0, 0, at.firstArgument],
      ...prctlNames.flatMap((option): Instruction[] => [
        [ifEqual, 0, 1, option],
        [answer, 0, 0, allow],
      ]),
      [answer, 0, 0, refuse(notPermitted)],
    ]),
    [answer, 0, 0, refuse(notPermitted)],
  ];
}

const setNoNewPrivileges = 38;
const setModeFilter = 1;
const allThreads = 1;

/** Says whether it holds: not on systems other than Linux, nor where the kernel or a container forbids it. */
export function confine(): boolean {
  const machine = machines[process.arch];
  const libc = process.platform === "linux" ? openLibc() : undefined;
  if (!machine || !libc) return false;
  const filter = toFilter(machine, process.pid);
  const code = Buffer.alloc(filter.length * 8);
  for (const [index, [word, ifTrue, ifFalse, value]] of filter.entries()) {
    code.writeUInt16LE(word, index * 8);
    code.writeUInt8(ifTrue, index * 8 + 2);
    code.writeUInt8(ifFalse, index * 8 + 3);
    code.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  const program = Buffer.alloc(16);
  program.writeUInt16LE(filter.length, 0);
  program.writeBigUInt64LE(BigInt(ptr(code)), 8);
  libc.syscall(machine.prctl, setNoNewPrivileges, 1, 0, 0, 0);
  return Number(libc.syscall(machine.seccomp, setModeFilter, allThreads, ptr(program), 0, 0)) === 0;
}

export type LimitName = "cpu" | "fileSize" | "core";
const limitNumbers: Readonly<Record<LimitName, number>> = { cpu: 0, fileSize: 1, core: 4 };

/** `setrlimit`, soft and hard: seconds of CPU, bytes. Does nothing where there is no such library. */
export function limitProcess(limits: Partial<Readonly<Record<LimitName, number>>>): void {
  const libc = process.platform === "win32" ? undefined : openLibc();
  if (!libc) return;
  for (const [name, value] of Object.entries(limits)) {
    const pair = new BigUint64Array([BigInt(value), BigInt(value)]);
    libc.setrlimit(limitNumbers[name as LimitName], ptr(pair));
  }
}

function openLibc() {
  const names = process.platform === "darwin" ? ["libSystem.B.dylib"] : libcNames;
  const word = FFIType.i64;
  for (const name of names) {
    try {
      return dlopen(name, {
        syscall: { args: [word, word, word, word, word, word], returns: word },
        setrlimit: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
      }).symbols;
    } catch {
      // another libc; without any of them nothing is confined, and the caller is told
    }
  }
  return undefined;
}
