/** What rows of `model_list` get from elsewhere in the file: shared credentials, default parameters. */
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { findNearest } from "../std/nearest.ts";
import { decodeSection } from "./decode.ts";
import type { Merged, Sourced } from "./merge.ts";
import { type ResolveOptions, resolveReferences } from "./references.ts";
import { CredentialRow } from "./sections/credential-list.ts";
import type { Spot } from "./yaml.ts";

export interface RowDefaults {
  /** `litellm_params` with what they lack put in; their own words win. */
  complete(params: JsonObject, spot: Spot): JsonObject;
}

/** What is wrong with them is told here; a row that names a credential that is not there is refused. */
export async function readRowDefaults(
  { sections }: Merged,
  options: ResolveOptions,
): Promise<RowDefaults> {
  const credentials = await readCredentials(sections.get("credential_list"), options);
  const defaults = await readDefaultParams(sections.get("router_settings"), options);
  return {
    complete(params, spot) {
      const name = params["litellm_credential_name"];
      if (name === undefined || name === null) return { ...defaults, ...params };
      const shared = credentials.get(String(name));
      if (shared) return { ...defaults, ...shared, ...params };
      const near = findNearest(String(name), [...credentials.keys()]);
      options.report.refuse(
        { ...spot, path: [...spot.path, "litellm_credential_name"] },
        `no entry of credential_list is called "${String(name)}"`,
        near ? `Did you mean "${near}"?` : "Add it to credential_list, or write api_key here.",
      );
      return { ...defaults, ...params };
    },
  };
}

async function readCredentials(
  section: Sourced | undefined,
  options: ResolveOptions,
): Promise<ReadonlyMap<string, JsonObject>> {
  const { report } = options;
  const found = new Map<string, JsonObject>();
  if (!section || section.value === null) return found;
  if (!Array.isArray(section.value)) {
    const remedy = "Write - {credential_name: openai, credential_values: {api_key: …}} below it.";
    report.refuse(section.spot, "credential_list must be a list", remedy);
    return found;
  }
  for (const [index, value] of section.value.entries()) {
    const spot = { ...section.spot, path: [...section.spot.path, index] };
    const row = decodeSection(CredentialRow, value as Json, spot, report);
    if (typeof row.credential_name !== "string" || !isObject(row.credential_values)) {
      report.refuse(spot, "the row lacks credential_name or credential_values", "Write both.");
      continue;
    }
    const at = { ...spot, path: [...spot.path, "credential_values"] };
    const values = await resolveReferences(row.credential_values as JsonObject, at, options);
    const provider = row.credential_info?.["custom_llm_provider"];
    found.set(row.credential_name, {
      ...(typeof provider === "string" ? { custom_llm_provider: provider } : {}),
      ...(isObject(values) ? values : {}),
    });
  }
  return found;
}

async function readDefaultParams(
  section: Sourced | undefined,
  options: ResolveOptions,
): Promise<JsonObject> {
  const value = isObject(section?.value) ? section.value["default_litellm_params"] : undefined;
  if (!section || !isObject(value)) return {};
  const spot = { ...section.spot, path: [...section.spot.path, "default_litellm_params"] };
  const resolved = await resolveReferences(value, spot, options);
  return isObject(resolved) ? resolved : {};
}
