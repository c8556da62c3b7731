/**
 * The event log as rows to learn from: features as they were logged, quality from feedback, else
 * from the outcome; the model's observation weighs the inverse of its logged probability.
 */
import type { Receipt } from "../domain/decision.ts";
import type { CallEvent } from "../domain/event.ts";
import type { PriceList } from "./dataset.ts";
import { createTableBuilder, type Table } from "./table.ts";

/** Inverse propensities stop here: beyond it one call would outvote a day (doubly robust practice). */
const weightLimit = 20;

export interface EventCounts {
  readonly used: number;
  /** Calls without features, without a known outcome, or of another embedder. */
  readonly unlabelled: number;
  readonly foreign: number;
}

/** @param embedderId rows of another embedder are counted, not learnt from. */
export async function tableFromEvents(
  events: AsyncIterable<CallEvent>,
  embedderId: string,
  prices: PriceList,
  onRow: (count: number) => void = () => undefined,
): Promise<{ readonly table: Table; readonly counts: EventCounts }> {
  const builder = createTableBuilder();
  let unlabelled = 0;
  let foreign = 0;
  for await (const event of events) {
    const { receipt, features } = event;
    const score = toQuality(receipt);
    const model = servedBy(receipt);
    if (!features || score === undefined || model === undefined) unlabelled++;
    else if (features.embedderId !== embedderId) foreign++;
    else {
      const { usage, costMicroUsd, timings } = receipt;
      builder.add({
        id: receipt.callId,
        features,
        weight: toWeight(receipt, model),
        groupKeys: [`s:${event.sessionHash ?? ""}`, `q:${event.queryHash ?? ""}`].filter(
          (key) => key.length > 2,
        ),
        outcomes: new Map([
          [
            model,
            {
              score,
              latencyMs: timings.totalMs,
              ...(usage ? { inputTokens: usage.inputTokens } : {}),
              ...(usage ? { outputTokens: usage.outputTokens } : {}),
              ...(costMicroUsd === undefined ? {} : { costUsd: costMicroUsd / 1e6 }),
            },
          ],
        ]),
      });
      onRow(builder.size);
    }
  }
  const counts = { used: builder.size, unlabelled, foreign };
  return { table: builder.finish(prices, "all"), counts };
}

/**
 * The mean of the feedback where there is any: people and judges before implicit signals. Without,
 * a call that failed at the provider is worth nothing; one that merely succeeded says nothing.
 */
function toQuality({ feedback, outcome }: Receipt): number | undefined {
  const explicit = feedback.filter(({ source }) => source !== "implicit");
  const heard = explicit.length > 0 ? explicit : feedback;
  if (heard.length > 0) return heard.reduce((sum, { score }) => sum + score, 0) / heard.length;
  return outcome === "failure" || outcome === "truncated" ? 0 : undefined;
}

/** The model that answered, or was asked last. */
function servedBy({ attempts, decision }: Receipt): string | undefined {
  const answered = attempts.findLast(({ outcome }) => outcome === "ok");
  return answered?.model ?? attempts.at(-1)?.model ?? decision?.chosen;
}

function toWeight({ decision }: Receipt, model: string): number {
  const logged = decision?.candidates.find((candidate) => candidate.model === model)?.probability;
  return logged !== undefined && logged > 0 ? Math.min(weightLimit, 1 / logged) : 1;
}
