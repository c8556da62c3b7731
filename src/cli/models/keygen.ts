/** `routeiq models keygen`: keys and the root that names them, or the next root of a chain. */
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { sha256Hex } from "../../learning/artifacts/canonical.ts";
import { parseEnvelope, type RoleName, toRoot } from "../../learning/artifacts/format.ts";
import {
  changeRoot,
  createRoleKey,
  createRoot,
  type RoleKey,
  readRootFile,
  writeKeyFile,
} from "../../learning/artifacts/keys.ts";
import { formatTime } from "../../learning/artifacts/time.ts";
import { hasEnoughSignatures } from "../../learning/artifacts/verify.ts";
import { systemClock } from "../../std/clock.ts";
import { writeFileAtomic } from "../../storage/file/atomic-write.ts";
import { type CommandContext, defineCommand, type Flag } from "../command.ts";
import { UsageError } from "../parse.ts";
import {
  countFrom,
  keyFlag,
  keysFrom,
  listOf,
  reportRefusal,
  textFrom,
  whenFrom,
} from "./repository.ts";

const roles = ["root", "timestamp", "release"] as const;
const rootExpires = "1095d";

const countFlags: Record<string, Flag> = Object.fromEntries(
  roles.flatMap((role) => [
    [`${role}-keys`, { description: `How many ${role} keys. Default 1.`, value: "N" }],
    [`${role}-threshold`, { description: `How many of them must sign. Default 1.`, value: "N" }],
  ]),
);

export const keygenCommand = defineCommand({
  name: "models keygen",
  summary: "Make signing keys and their root; with --from, the next root: new keys, revocations.",
  flags: {
    out: { description: "Folder for keys and root. Default ./keys.", value: "DIR" },
    ...countFlags,
    expires: { description: `When the root ends. Default ${rootExpires}.`, value: "WHEN" },
    from: { description: "Make the root after this one instead.", value: "N.root.json" },
    key: keyFlag,
    replace: {
      description: "With --from: new keys for root, timestamp or release.",
      value: "ROLE",
      many: true,
      repeat: true,
    },
    revoke: {
      description: "With --from: sha256 of a release (or file) that must not serve any more.",
      value: "SHA256",
      many: true,
      repeat: true,
    },
    "min-release": { description: "With --from: no release below serves any more.", value: "N" },
  },
  example: "routeiq models keygen --out keys --root-keys 3 --root-threshold 2",
  run: (context) =>
    reportRefusal(context, async () =>
      context.flags["from"] === undefined ? await makeFirst(context) : await makeNext(context),
    ),
});

async function makeFirst({ flags, out }: CommandContext): Promise<number> {
  for (const flag of ["replace", "revoke", "min-release", "key"]) {
    if (flags[flag] !== undefined) throw new UsageError(`--${flag} goes with --from N.root.json.`);
  }
  const folder = textFrom(flags["out"]) ?? "keys";
  const nowMs = systemClock.now();
  const keys = { root: made("root"), timestamp: made("timestamp"), release: made("release") };
  const thresholds = {
    root: least("root"),
    timestamp: least("timestamp"),
    release: least("release"),
  };
  const expiresMs = whenFrom(flags["expires"], rootExpires, nowMs, "expires");
  const root = createRoot({ keys, thresholds, expiresMs });
  await makePrivateFolder(folder);
  const files = await writeKeys(folder, Object.values(keys).flat(), 1);
  const path = join(folder, "1.root.json");
  await writeRoot(path, root);
  const pin = `sha256:${sha256Hex(root)}`;
  out.line(`root   ${path}, valid until ${formatTime(expiresMs)}`);
  for (const file of files) out.line(`key    ${file}`);
  out.line(`pin    model_root: ${pin}`);
  out.line("Keep the root key offline. The gateway needs only the pin (or the root file).");
  out.json({ ok: true, root: path, pin, version: 1, expires: formatTime(expiresMs), keys: files });
  return 0;

  function made(role: RoleName): readonly RoleKey[] {
    const count = countFrom(flags[`${role}-keys`], 1, `${role}-keys`);
    if (count > 100) throw new UsageError(`--${role}-keys takes at most 100.`);
    return Array.from({ length: count }, () => createRoleKey(role));
  }
  function least(role: RoleName): number {
    return countFrom(flags[`${role}-threshold`], 1, `${role}-threshold`);
  }
}

async function makeNext(context: CommandContext): Promise<number> {
  const { flags, out } = context;
  const from = textFrom(flags["from"]) ?? "";
  const folder = textFrom(flags["out"]) ?? "keys";
  const before = parseEnvelope(await readRootFile(from), "root", from);
  const root = toRoot(before);
  const version = root.version + 1;
  const replace: Partial<Record<RoleName, readonly RoleKey[]>> = {};
  for (const role of listOf(flags["replace"])) {
    if (role !== "root" && role !== "timestamp" && role !== "release") {
      throw new UsageError(`--replace takes root, timestamp or release, not "${role}".`);
    }
    const count = countFrom(flags[`${role}-keys`], root.roles[role].keyids.length, `${role}-keys`);
    replace[role] = Array.from({ length: count }, () => createRoleKey(role));
  }
  const revoke = listOf(flags["revoke"]);
  if (revoke.some((hash) => !/^[0-9a-f]{64}$/.test(hash))) {
    throw new UsageError("--revoke takes the 64 hex digits that `routeiq models list` shows.");
  }
  const expiresMs = whenFrom(flags["expires"], rootExpires, systemClock.now(), "expires");
  const change = {
    replace,
    revoke,
    expiresMs,
    ...(flags["min-release"] === undefined
      ? {}
      : { minReleaseVersion: countFrom(flags["min-release"], 0, "min-release", 0) }),
  };
  const bytes = changeRoot(before, change, await keysFrom(context));
  await makePrivateFolder(folder);
  const files = await writeKeys(folder, Object.values(replace).flat(), version);
  const path = join(folder, `${version}.root.json`);
  await writeRoot(path, bytes);
  const next = parseEnvelope(bytes, "root", path);
  const complete =
    hasEnoughSignatures(next, root, "root") && hasEnoughSignatures(next, toRoot(next), "root");
  out.line(`root   ${path}, valid until ${formatTime(expiresMs)}`);
  for (const file of files) out.line(`key    ${file}`);
  out.line(
    complete
      ? `Publish it: routeiq models publish --refresh REPOSITORY --root ${path} --key ${folder}`
      : `It still lacks signatures: routeiq models sign ${path} --key …, by those who hold the keys.`,
  );
  out.json({
    ok: true,
    root: path,
    version,
    complete,
    expires: formatTime(expiresMs),
    keys: files,
  });
  return 0;
}

async function makePrivateFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  if (made !== undefined) await chmod(folder, 0o700);
}

async function writeKeys(
  folder: string,
  keys: readonly RoleKey[],
  version: number,
): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const key of keys) {
    const same = keys.filter(({ role }) => role === key.role);
    const number = same.length > 1 ? `-${same.indexOf(key) + 1}` : "";
    const generation = version > 1 ? `-r${version}` : "";
    const path = join(folder, `${key.role}${generation}${number}.key`);
    await writeKeyFile(path, key);
    paths.push(path);
  }
  return paths;
}

async function writeRoot(path: string, bytes: Uint8Array): Promise<void> {
  if (!(await writeFileAtomic(path, bytes, { ifAbsent: true }))) {
    throw new UsageError(`${path} exists; name another folder with --out.`);
  }
}
