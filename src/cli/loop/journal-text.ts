/** The loop's journal in words: for `routeiq loop --journal`, a dry run, and the demo. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { formatTime } from "../../learning/artifacts/time.ts";
import { type LoopState, readJournal, readLoopState } from "../../learning/loop/journal.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { CommandContext } from "../command.ts";
import { countFrom } from "../models/repository.ts";

/** What an entry says beside its name; empty where the name says it all. */
export function entryWords(entry: JsonObject): string {
  const { event, calls, labelled, strategy, gate, version, detail, why, message, to } = entry;
  if (event === "observed") return `${calls} calls, ${labelled} with a label`;
  if (event === "labelled" || event === "plan") return labelWords(labelled);
  if (event === "trained" && isObject(gate)) {
    const says = gate["passed"] === true ? "the gate passes it" : "the gate refuses it";
    return `${strategy}; ${says}: ${gate["reason"]}`;
  }
  if (event === "signed" || event === "published") return `release ${version}`;
  if (event === "taking back") return `to release ${to}: ${why}`;
  return String(why ?? detail ?? message ?? "");
}

/** What the judge did, or would do, one log after the other. */
function labelWords(labelled: Json | undefined): string {
  const told = (Array.isArray(labelled) ? labelled : []).filter(isObject).map((one) => {
    if (one["ok"] !== true) return String(one["message"]);
    const { agreement, spent_usd, would_label, cost_usd } = one;
    if (would_label !== undefined) {
      return `${would_label} answers would be graded, for about $${Number(cost_usd).toFixed(2)}`;
    }
    const people = isObject(agreement) ? agreement["with_people"] : undefined;
    const { cases, agreed } = isObject(people) ? people : {};
    const agrees =
      Number(cases) > 0
        ? `, of one mind with the users in ${Math.round(100 * Number(agreed))} % of ${cases}`
        : "";
    const by = one["judge"] === undefined ? "" : ` by ${one["judge"]}`;
    return `${one["labelled"]} answers${by} for $${Number(spent_usd ?? 0).toFixed(2)}${agrees}`;
  });
  return told.length > 0 ? told.join("; ") : "no log to label yet";
}

/** One line: when, which cycle, what, and why. */
export function entryLine(entry: JsonObject): string {
  const { at, cycle, event } = entry;
  const when = typeof at === "string" ? `${at.slice(0, 19)}Z  ` : "";
  const line = `${when}${String(cycle).padStart(4)}  ${String(event).padEnd(12)}${entryWords(entry)}`;
  return line.trimEnd();
}

const usualEntries = 50;

/** @throws GatewayError storage_failed */
export async function showJournal(context: CommandContext, store: ObjectStore): Promise<number> {
  const { out, flags } = context;
  const most = countFrom(flags["limit"], usualEntries, "limit");
  const state = await readLoopState(store);
  const entries = await readJournal(store, most);
  if (!state && entries.length === 0) {
    out.line(`no loop has been here: ${store.url} has no journal`);
  }
  for (const entry of entries) out.line(entryLine(entry));
  if (state) out.line(stateLine(state));
  out.json({ ok: true, state: state ?? null, entries });
  return 0;
}

function stateLine({
  cycle,
  phase,
  release,
  publishedMs,
  failures,
  learntFrom,
}: LoopState): string {
  const failed = failures > 0 ? `; the last ${failures} turns failed` : "";
  if (phase === "idle")
    return `cycle ${cycle} is done; ${learntFrom} labels were learnt from${failed}`;
  const of = release ? `, release ${release.version}` : "";
  const since = publishedMs === undefined ? "" : ` since ${formatTime(publishedMs)}`;
  return `cycle ${cycle} is under way: ${phase}${of}${since}${failed}`;
}
