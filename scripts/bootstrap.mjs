/**
 * The one script that plain Node runs: it makes sure the dependencies (Bun among them) are here,
 * then hands over to Bun. So `npm start` and `npm test` work on a fresh clone with only git,
 * Node and npm.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".routeiq-lock");
const lockHash = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");

/** Runs a program to its end, handing signals on, so that what it serves can drain. */
function run(command, args, shell = false) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", shell });
    const handOn = (signal) => child.kill(signal);
    // From a terminal, Ctrl-C reaches the child by itself; here it must only not end us first.
    const ignore = () => undefined;
    process.on("SIGINT", process.stdin.isTTY ? ignore : handOn);
    process.on("SIGTERM", handOn);
    process.on("SIGHUP", handOn);
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(name);
      if (signal) process.kill(process.pid, signal);
      resolve(code ?? 1);
    });
  });
}

/** The bun binary that npm brought. Its install script may have been refused by npm's policy, so
 * the platform package is looked at too. */
function findBun() {
  const exe = process.platform === "win32" ? "bun.exe" : "bun";
  const arch = process.arch === "arm64" ? "aarch64" : "x64";
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const oven = (suffix) =>
    join(root, "node_modules", "@oven", `bun-${platform}-${arch}${suffix}`, "bin", exe);
  const candidates = [
    oven(""),
    oven("-musl"),
    oven("-baseline"),
    join(root, "node_modules", "bun", "bin", "bun.exe"),
  ];
  return candidates.find((path) => {
    if (!existsSync(path)) return false;
    return spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0;
  });
}

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lockHash) {
  console.error("routeiq: installing dependencies (once) …");
  const status = await run(
    "npm",
    ["ci", "--no-audit", "--no-fund", "--loglevel=error"],
    process.platform === "win32",
  );
  if (status !== 0) process.exit(status);
  writeFileSync(stamp, lockHash);
}

const [task = "start", ...rest] = process.argv.slice(2);
if (task === "install") process.exit(0); // an image's layer of dependencies

const bun = findBun();
if (!bun) {
  console.error(
    `routeiq: npm installed no Bun runtime that works on ${process.platform}-${process.arch}. ` +
      "Bun runs on Linux, macOS and Windows, x64 and arm64. Remove node_modules and try again.",
  );
  process.exit(1);
}
if (!existsSync(join(root, "scripts", `${task}.ts`))) {
  console.error(`routeiq: there is no scripts/${task}.ts`);
  process.exit(2);
}
process.exit(await run(bun, ["run", join(root, "scripts", `${task}.ts`), ...rest]));
