/** The operator's price file: LiteLLM's cost map, or a part of it. Nothing is fetched. */
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { PriceFile } from "./config.ts";
import type { Environment, ReadText } from "./files.ts";
import { joinPath } from "./merge.ts";
import { isRemote } from "./remote.ts";
import type { Report } from "./report.ts";
import type { Spot } from "./yaml.ts";

interface PriceFileSource {
  readonly env: Environment;
  readonly readText: ReadText;
  readonly report: Report;
  readonly spot: Spot;
  /** What a relative path counts from. */
  readonly folder: string;
}

export async function readPriceFile(
  configured: string | undefined,
  { env, readText, report, spot, folder }: PriceFileSource,
): Promise<PriceFile> {
  const named = configured ?? fromEnvironment(env, report, spot);
  if (named === undefined) return {};
  const path = isAbsolute(named) || isRemote(named) ? named : joinPath(folder, named);
  try {
    const text = await readText(path);
    if (text === undefined) {
      report.refuse(spot, `the price file ${path} does not exist`, "Name a file that does.");
      return {};
    }
    return toEntries(JSON.parse(text), path, { report, spot });
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    report.refuse(spot, `the price file ${path} cannot be read: ${why}`, "It must be JSON.");
    return {};
  }
}

/** LiteLLM's own variable. It holds an address mostly, and an address is not followed unasked. */
function fromEnvironment(env: Environment, report: Report, spot: Spot): string | undefined {
  const url = env["LITELLM_MODEL_COST_MAP_URL"];
  if (!url) return undefined;
  if (url.startsWith("file://")) return fileURLToPath(url);
  report.warn(
    spot,
    "LITELLM_MODEL_COST_MAP_URL is an address, and prices are not fetched",
    "Download the file, check it, and name it in routeiq_settings.price_file.",
  );
  return undefined;
}

function toEntries(
  value: unknown,
  path: string,
  { report, spot }: Pick<PriceFileSource, "report" | "spot">,
): PriceFile {
  if (!isObject(value)) {
    const remedy = 'Write {"provider/model": {"input_cost_per_token": 0.000001}}.';
    report.refuse(spot, `the price file ${path} is no map of models`, remedy);
    return {};
  }
  const entries: Record<string, JsonObject> = {};
  const bad: string[] = [];
  for (const [name, entry] of Object.entries(value)) {
    if (name === "sample_spec") continue; // LiteLLM's own documentation of the format
    if (isObject(entry)) entries[name.toLowerCase()] = entry;
    else bad.push(name);
  }
  if (bad.length > 0) {
    const some = bad.slice(0, 3).join(", ");
    report.warn(
      spot,
      `the price file has entries that are no maps: ${some}`,
      "Mend or remove them.",
    );
  }
  return entries;
}
