/** A gateway's poller that dies by SIGKILL before its n-th write: `install-child.ts REPOSITORY DATA N NOW`. */
import { createLocalCopy } from "../../src/learning/artifacts/copy.ts";
import { artifactRuntime } from "../../src/learning/artifacts/format.ts";
import { createRepositorySource } from "../../src/learning/artifacts/repository-source.ts";
import { createFileObjectStore } from "../../src/storage/file/object-store.ts";

const [repository = "", data = "", dieAt = "0", now = "0"] = process.argv.slice(2);
const store = createFileObjectStore(repository);
const pin = await store.get("root/1.root.json", { maxBytes: 1 << 20 });
if (!pin || pin === "not-modified") throw new Error("no root");
let writes = 0;
const copy = createLocalCopy(data, () => {
  if (++writes === Number(dieAt)) process.kill(process.pid, "SIGKILL");
});
const source = createRepositorySource({
  store,
  pin: { bytes: pin.bytes },
  name: "router",
  runtime: artifactRuntime,
  copy,
  maxStaleMs: 7 * 86_400_000,
});
const kept = await source.restore(Number(now));
if (kept.kind === "candidate") await source.commit("active");
const inForce = kept.kind === "candidate" ? kept.candidate.identity : undefined;
const found = await source.check(Number(now), { inForce });
if (found.kind === "candidate") await source.commit("active");
console.log(JSON.stringify({ kept: versionOf(kept), found: versionOf(found), writes }));

function versionOf(one: typeof found) {
  return one.kind === "candidate" ? one.candidate.identity.version : one.kind;
}
