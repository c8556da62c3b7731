/**
 * The one script that plain Node runs: it makes sure the dependencies (Bun among them) are here,
 * then hands over to Bun. So `npm start` and `npm test` work on a fresh clone with only git,
 * Node and npm.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".routeiq-lock");
const lockHash = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");

function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (result.error) throw result.error;
  if (result.signal) process.kill(process.pid, result.signal);
  return result.status ?? 1;
}

/** The bun binary that npm brought. Its install script may have been refused by npm's policy, so
 * the platform package is looked at too. */
function findBun() {
  const exe = process.platform === "win32" ? "bun.exe" : "bun";
  const arch = process.arch === "arm64" ? "aarch64" : "x64";
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const candidates = [
    join(root, "node_modules", "bun", "bin", "bun.exe"),
    join(root, "node_modules", "@oven", `bun-${platform}-${arch}`, "bin", exe),
    join(root, "node_modules", "@oven", `bun-${platform}-${arch}-musl`, "bin", exe),
    join(root, "node_modules", "@oven", `bun-${platform}-${arch}-baseline`, "bin", exe),
  ];
  return candidates.find((path) => {
    if (!existsSync(path)) return false;
    return spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0;
  });
}

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lockHash) {
  console.error("routeiq: installing dependencies (once) …");
  const status = run("npm", ["ci", "--no-audit", "--no-fund"]);
  if (status !== 0) process.exit(status);
  writeFileSync(stamp, lockHash);
}

const bun = findBun();
if (!bun) {
  console.error(
    `routeiq: npm installed no Bun runtime that works on ${process.platform}-${process.arch}. ` +
      "Bun runs on Linux, macOS and Windows, x64 and arm64. Remove node_modules and try again.",
  );
  process.exit(1);
}
const [task = "start", ...rest] = process.argv.slice(2);
process.exit(run(bun, ["run", join(root, "scripts", `${task}.ts`), ...rest]));
