/**
 * What a logged call was worth, and who says so. People come before judges, judges before shadow
 * runs, those before the signs that the gateway saw itself, and the bare outcome comes last.
 */
import type { Receipt } from "../../domain/decision.ts";
import type { Label } from "../data/labels.ts";
import { type LabelSource, toLabelSource } from "../data/row.ts";
import type { Sign } from "./signs.ts";

const sources: readonly LabelSource[] = ["feedback", "judge", "shadow", "implicit"];

/**
 * Request ids of calls that learning itself makes (judges, shadow runs): the event log has them as
 * any call, and nothing is learnt from them.
 */
export const ownTrafficPrefix = "routeiq-label/";

export const isOwnTraffic = ({ requestId }: Pick<Receipt, "requestId">) =>
  requestId.startsWith(ownTrafficPrefix);

/**
 * The mean of the feedback of the best source there is; without any, the signs of the traffic. Else a call that failed at the
 * provider is worth nothing; one that merely succeeded says nothing (undefined).
 */
export function toEventLabel(receipt: Receipt, signs: readonly Sign[] = []): Label | undefined {
  const { feedback, outcome } = receipt;
  if (isOwnTraffic(receipt)) return undefined;
  for (const source of sources) {
    const heard = feedback.filter((one) => toLabelSource(one.source) === source);
    if (heard.length === 0) continue;
    return { score: heard.reduce((sum, { score }) => sum + score, 0) / heard.length, source };
  }
  // The worst sign counts: an answer of the wrong form is none, however well the talk went on.
  if (signs.length > 0 && outcome === "success") {
    return { score: Math.min(...signs.map(({ score }) => score)), source: "implicit" };
  }
  const failed = outcome === "failure" || outcome === "truncated";
  return failed ? { score: 0, source: "outcome" } : undefined;
}
