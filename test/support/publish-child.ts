/** A publisher that dies by SIGKILL before its n-th write: `publish-child.ts FOLDER KEYS REPOSITORY N NOW`. */
import { readArtifactFolder } from "../../src/learning/artifacts/folder.ts";
import { readKeys, readRoots } from "../../src/learning/artifacts/keys.ts";
import { nextReleaseVersion, publishRelease } from "../../src/learning/artifacts/publish.ts";
import { signRelease } from "../../src/learning/artifacts/sign.ts";
import { createFileObjectStore } from "../../src/storage/file/object-store.ts";

const [path = "", keyFolder = "", repository = "", dieAt = "0", now = "0"] = process.argv.slice(2);
const folder = await readArtifactFolder(path);
const keys = await readKeys([keyFolder]);
const store = createFileObjectStore(repository);
const nowMs = Number(now);
const release = signRelease({
  folder,
  keys: keys.filter(({ role }) => role === "release"),
  version: await nextReleaseVersion(store),
  nowMs,
  expiresMs: nowMs + 86_400_000,
});
let writes = 0;
const published = await publishRelease({
  store,
  keys,
  roots: await readRoots([keyFolder]),
  nowMs,
  timestampExpiresMs: nowMs + 86_400_000,
  release,
  files: folder.files,
  force: true,
  beforeWrite() {
    if (++writes === Number(dieAt)) process.kill(process.pid, "SIGKILL");
  },
});
console.log(JSON.stringify({ writes, version: published.version }));
