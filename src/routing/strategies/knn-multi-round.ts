/** The trained half of llmrouter-knn-multiround: the neighbours that route the parts of a query. */
import { knn } from "./knn.ts";
import { defineStrategy } from "./strategy.ts";

export const knnMultiRound = defineStrategy({
  ...knn,
  name: "llmrouter-knn-multiround",
  summary: `the parts of a query, each by ${knn.summary}`,
});
