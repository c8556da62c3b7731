/** How gateways do with a release, read from what each of them says of itself. */
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { ReleaseId, Standing } from "../../learning/loop/cycle.ts";

/** @param status of `GET /admin/model/status` */
export function standingOf(
  gateway: string,
  status: JsonObject,
  { version, sha256 }: ReleaseId,
): Standing {
  // Newest first: one that the operator took once more is judged anew.
  const verdict = listAt(status, "verdicts").find(({ arm }) => String(arm).endsWith(`@${version}`));
  if (verdict?.["healthy"] === false)
    return { state: "taken back", detail: `${gateway}: ${String(verdict["message"])}` };
  const active = isObject(status["active"]) ? status["active"] : {};
  if (active["sha256"] === sha256) {
    const watched = isObject(active["health"]);
    return watched
      ? { state: "under way", detail: `${gateway}: in force, its health window is open` }
      : { state: "in force", detail: `${gateway}: in force` };
  }
  const staged = isObject(status["staged"]) ? status["staged"] : undefined;
  if (staged?.["sha256"] !== sha256) {
    return { state: "under way", detail: `${gateway}: has not seen it yet` };
  }
  const { stage, share } = staged;
  const part = typeof share === "number" ? ` with ${share * 100} % of the calls` : "";
  return { state: "under way", detail: `${gateway}: ${String(stage)}${part}` };
}

/** In force where it is so everywhere; taken back as soon as one gateway has taken it back. */
export function standingOfAll(standings: readonly Standing[]): Standing {
  const told = (state: Standing["state"]) => standings.filter((each) => each.state === state);
  const back = told("taken back");
  const open = told("under way");
  const [state, of] =
    back.length > 0
      ? (["taken back", back] as const)
      : open.length > 0
        ? (["under way", open] as const)
        : (["in force", standings] as const);
  return { state, detail: of.map(({ detail }) => detail).join("; ") };
}

function listAt(of: JsonObject, name: string): readonly JsonObject[] {
  const list = of[name];
  return Array.isArray(list) ? list.filter(isObject) : [];
}
