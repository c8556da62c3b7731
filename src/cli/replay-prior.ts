/**
 * The catalog's prior, made again for a receipt: from its candidates' names and this version's catalog.
 * What the configuration said of a model beyond that (a price, a size) is in no receipt; it matters for
 * models alone that the table of abilities does not know, and then the comparison shows it.
 */
import type { Decision } from "../domain/decision.ts";
import { withoutPrefix } from "../domain/model.ts";
import { loadCatalog } from "../providers/catalog.ts";
import { createPriorRouter } from "../routing/prior/prior-router.ts";
import type { TrainedRouter } from "../routing/trained-router.ts";

export function openPrior({ candidates }: Decision): TrainedRouter {
  const catalog = loadCatalog();
  return createPriorRouter(
    candidates.map(({ model }) => {
      const upstreamModel = withoutPrefix(model);
      const provider = upstreamModel === model ? "openai" : model.slice(0, model.indexOf("/"));
      return { name: model, upstreamModel, facts: catalog.factsOf(provider, upstreamModel) };
    }),
  );
}
