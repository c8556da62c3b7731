/** LiteLLM's `finetune_settings`: at which providers models are tuned, and with which keys. */
import { type Static, Type } from "@sinclair/typebox";
import { decodeSection } from "./decode.ts";
import type { Sourced } from "./merge.ts";
import { type ResolveOptions, resolveReferences } from "./references.ts";

export const FinetuneRow = Type.Object({
  custom_llm_provider: Type.Union([Type.Literal("openai"), Type.Literal("azure")], {
    description: "Whose API it is, or is like.",
  }),
  api_key: Type.Optional(Type.String({ minLength: 1, description: "A reference, best." })),
  api_base: Type.Optional(
    Type.String({ pattern: "^https?://", description: "Default: OpenAI's own." }),
  ),
  api_version: Type.Optional(Type.String({ minLength: 1, description: "Azure's." })),
  training_cost_per_token: Type.Optional(
    Type.Record(Type.String(), Type.Number({ minimum: 0 }), {
      description:
        "Model → USD per trained token, by which jobs are charged. Default: what OpenAI publishes; others' jobs are not charged.",
      expected: "a map of prices",
    }),
  ),
});

export type FinetuneProvider = Static<typeof FinetuneRow>;

/** What is wrong is told in the report. */
export async function readFinetuneSettings(
  section: Sourced | undefined,
  resolve: ResolveOptions,
): Promise<readonly FinetuneProvider[]> {
  if (!section || section.value === null) return [];
  const { spot } = section;
  if (!Array.isArray(section.value)) {
    const remedy = "Write - custom_llm_provider: openai below it.";
    resolve.report.refuse(spot, "finetune_settings must be a list", remedy);
    return [];
  }
  const rows: FinetuneProvider[] = [];
  for (const [index, written] of section.value.entries()) {
    const at = { ...spot, path: [...spot.path, index] };
    const row = await resolveReferences(written, at, resolve);
    rows.push(decodeSection(FinetuneRow, row, at, resolve.report));
  }
  return rows;
}
