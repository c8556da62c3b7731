/** `routeiq models list`: the releases of a repository, and which one is in force. */
import { isObject, type JsonObject } from "../../domain/json.ts";
import { limits, parseEnvelope, toRelease } from "../../learning/artifacts/format.ts";
import { ArtifactRefusal } from "../../learning/artifacts/refusal.ts";
import {
  findObject,
  listReleases,
  readHead,
  rootsOf,
} from "../../learning/artifacts/repository.ts";
import { formatTime } from "../../learning/artifacts/time.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { defineCommand } from "../command.ts";
import { reportRefusal, withRepository } from "./repository.ts";

export const listCommand = defineCommand({
  name: "models list",
  summary: "Show a repository's releases: active, dates, strategy, evidence. Checks no signature.",
  args: { repository: "folder, file:///… or s3://bucket/prefix" },
  example: "routeiq models list s3://models/router",
  run: (context) =>
    reportRefusal(context, () =>
      withRepository(context.args[0] ?? "", context, async (store) => {
        const { out } = context;
        const head = await readHead(store);
        const roots = [...(await rootsOf(store, new Map())).keys()];
        const releases: ReleaseRow[] = [];
        for (const version of await listReleases(store)) {
          releases.push(await describe(store, version, head?.release.version === version));
        }
        const until = head ? formatTime(head.expiresMs) : undefined;
        out.json({
          repository: store.url,
          active: head?.release.version ?? 0,
          timestamp: head ? { version: head.timestampVersion, expires: until } : null,
          roots,
          releases,
        });
        if (!head) out.line(`${store.url}: nothing is published yet`);
        else out.line(`${store.url}: timestamp ${head.timestampVersion} until ${until}`);
        for (const row of releases) out.line(toLine(row));
        return 0;
      }),
    ),
});

interface ReleaseRow {
  readonly version: number;
  readonly active: boolean;
  readonly sha256: string;
  readonly name?: string;
  readonly created?: string;
  readonly expires?: string;
  readonly strategy?: string;
  readonly metrics?: JsonObject;
  readonly forced?: string;
  readonly rolled_back_to?: number;
  /** The refusal code of a release that cannot be read. */
  readonly code?: string;
}

async function describe(store: ObjectStore, version: number, active: boolean): Promise<ReleaseRow> {
  const key = `releases/${version}.json`;
  const bytes = (await findObject(store, key, limits.releaseBytes)) ?? new Uint8Array();
  try {
    const envelope = parseEnvelope(bytes, "release", key);
    const release = toRelease(envelope);
    const { strategy, metrics, forced, rolled_back_to: back } = release.provenance;
    return {
      version,
      active,
      sha256: envelope.sha256,
      name: release.name,
      created: release.created,
      expires: formatTime(release.expiresMs),
      ...(typeof strategy === "string" ? { strategy } : {}),
      ...(isObject(metrics) ? { metrics } : {}),
      ...(typeof forced === "string" ? { forced } : {}),
      ...(typeof back === "number" ? { rolled_back_to: back } : {}),
    };
  } catch (error) {
    if (!(error instanceof ArtifactRefusal)) throw error;
    return { version, active, sha256: "", code: error.refusal };
  }
}

function toLine(row: ReleaseRow): string {
  const mark = row.active ? "*" : " ";
  if (row.code) return `${mark} ${row.version}  cannot be read (${row.code})`;
  const gate = isObject(row.metrics?.["gate"]) ? row.metrics["gate"] : {};
  const single = isObject(gate["best_single"]) ? gate["best_single"]["gain_lower"] : undefined;
  return [
    `${mark} ${row.version}`,
    row.created?.slice(0, 19),
    `until ${row.expires?.slice(0, 10)}`,
    row.strategy,
    typeof single === "string" ? `gain over the best single model ≥ ${single}` : undefined,
    row.rolled_back_to ? `content of ${row.rolled_back_to}` : undefined,
    row.forced ? "forced" : undefined,
    row.sha256.slice(0, 12),
  ]
    .filter((part) => part !== undefined)
    .join("  ");
}
