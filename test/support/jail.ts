/**
 * A jail like the image: a read-only root with the binary, glibc's five files and /proc, a writable
 * /data, no network but loopback, nobody's user. Needs root and Linux namespaces.
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Finished, installBinary } from "./binary.ts";

/** Why there can be no jail here; undefined where there can. */
export function jailMissing(): string | undefined {
  if (process.platform !== "linux") return "namespaces are Linux's";
  if (process.getuid?.() !== 0) return "needs root";
  for (const program of ["unshare", "chroot", "ip", "ldd"]) {
    if (Bun.which(program) === null) return `needs ${program}`;
  }
  const probe = Bun.spawnSync(["unshare", "-mnpf", "true"], { stdio: ["ignore", "pipe", "pipe"] });
  return probe.exitCode === 0 ? undefined : "namespaces are not permitted here";
}

/** Runs the binary in a jail to its end. */
export async function runJailed(
  args: readonly string[],
  options: { readonly proc?: boolean } = {},
): Promise<Finished> {
  const root = mkdtempSync(join(tmpdir(), "routeiq-jail-"));
  try {
    furnish(root);
    const steps = [
      "ip link set lo up",
      `mount --bind ${root} ${root}`,
      `mount -o remount,ro,bind ${root}`,
      `mount -t tmpfs -o mode=1777 tmpfs ${root}/data`,
      // Only programs that start others need it (the demo): a child's standard input.
      `mount --bind /dev/null ${root}/dev/null`,
      ...(options.proc === false ? [] : [`mount -t proc proc ${root}/proc`]),
      `cd ${root}/data`,
      `exec chroot --userspec=65534:65534 ${root} /enter "$@"`,
    ];
    const child = Bun.spawn(["unshare", "-mnpf", "sh", "-ec", steps.join("\n"), "sh", ...args], {
      env: { PATH: process.env["PATH"] ?? "", HOME: "/data", TMPDIR: "/data" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { stdout, stderr, exitCode };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function furnish(root: string): void {
  const binary = installBinary();
  chmodSync(root, 0o755); // mkdtemp's is the owner's alone
  for (const folder of ["proc", "data", "dev"]) mkdirSync(join(root, folder));
  writeFileSync(join(root, "dev", "null"), "");
  copyFileSync(binary, join(root, "enter"));
  const { stdout } = Bun.spawnSync(["ldd", binary]);
  for (const [file] of stdout.toString().matchAll(/\/\S+\.so\S*/g)) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    copyFileSync(file, join(root, file));
  }
}
