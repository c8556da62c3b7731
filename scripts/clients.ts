/**
 * Installs what only the tests of other makers' clients use: .ci/clients/package.json with npm, and
 * the Python SDKs with pip where that is there. What cannot be had is said, and its tests are skipped.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./run.ts";

const folder = join(root, ".ci", "clients");
const requirements = join(folder, "requirements.txt");
const python = join(folder, "python_modules");

/** Once per lock file: what is installed says of which. */
export async function ensureClients(): Promise<void> {
  await once("package-lock.json", "node_modules", async () => {
    const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    // Not `npm ci`: the lock file lacks what the platforms of others would have, and it minds that.
    return await succeeds(["npm", "install", "--no-save", ...options], folder);
  });
  await once("requirements.txt", "python_modules", async () => {
    if (!Bun.which("python3")) return false;
    rmSync(python, { recursive: true, force: true });
    const options = ["--quiet", "--disable-pip-version-check", "--target", python];
    return await succeeds(["python3", "-m", "pip", "install", ...options, "-r", requirements]);
  });
}

async function once(lock: string, into: string, install: () => Promise<boolean>): Promise<void> {
  const stamp = join(folder, into, ".routeiq-lock");
  const hash = new Bun.CryptoHasher("sha256")
    .update(await Bun.file(join(folder, lock)).bytes())
    .digest("hex");
  if (existsSync(stamp) && (await Bun.file(stamp).text()) === hash) return;
  console.error(`test: installing .ci/clients/${into} (once) …`);
  if (await install()) await Bun.write(stamp, hash);
  else console.error(`test: .ci/clients/${into} cannot be had here; its tests are skipped`);
}

const limitMs = 300_000;

async function succeeds(command: readonly string[], cwd: string = root): Promise<boolean> {
  const child = Bun.spawn([...command], { cwd, stdout: "ignore", stderr: "pipe" });
  const timer = setTimeout(() => child.kill(), limitMs);
  const [told, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  clearTimeout(timer);
  if (code !== 0) console.error(told.split("\n").slice(-5).join("\n"));
  return code === 0;
}
