/** The main file and those it includes, as one: lists grow, other keys are overwritten, as in LiteLLM. */
import { dirname, isAbsolute, join } from "node:path";
import { isObject, type Json } from "../domain/json.ts";
import type { ReadText } from "./files.ts";
import { isRemote } from "./remote.ts";
import type { Report } from "./report.ts";
import { parseYaml, type Spot } from "./yaml.ts";

export interface Sourced {
  readonly value: Json;
  readonly spot: Spot;
}

export interface Merged {
  readonly files: readonly string[];
  /** Rows of `model_list`, from all files, in order. */
  readonly rows: readonly Sourced[];
  /** Every other top-level key; the last file that has it. */
  readonly sections: ReadonlyMap<string, Sourced>;
}

const includeLimit = 100;

/** Reads the main file's text and its includes. Includes are not followed further, as in LiteLLM. */
export async function mergeFiles(
  path: string,
  text: string,
  context: { readonly readText: ReadText; readonly report: Report },
): Promise<Merged> {
  const { readText, report } = context;
  const files = [path];
  const rows: Sourced[] = [];
  const sections = new Map<string, Sourced>();
  const take = (file: string, content: string) => {
    const { source, findings } = parseYaml(file, content);
    report.add(...findings);
    const top: Spot = { source, path: [] };
    if (!isObject(source.value)) {
      report.refuse(
        top,
        "the file must be a map of keys",
        "Begin it with a key such as model_list:",
      );
      return;
    }
    for (const [key, value] of Object.entries(source.value)) {
      const spot = { source, path: [key] };
      const before = sections.get(key);
      if (key !== "model_list" && Array.isArray(value) && Array.isArray(before?.value)) {
        sections.set(key, { value: [...before.value, ...value], spot: before.spot });
      } else if (key !== "model_list") sections.set(key, { value: value ?? null, spot });
      else if (Array.isArray(value)) {
        value.forEach((row: Json, index) => {
          rows.push({ value: row, spot: { source, path: [key, index] } });
        });
      } else if (value !== null) {
        report.refuse(spot, "model_list must be a list", 'Begin each row with "- model_name:".');
      }
    }
  };
  take(path, text);
  const include = sections.get("include");
  for (const { file, spot } of includedFiles(include, dirname(path), report)) {
    try {
      const content = await readText(file);
      if (content === undefined)
        report.refuse(
          spot,
          `the included file ${file} does not exist`,
          "Paths are relative to the including file.",
        );
      else {
        files.push(file);
        take(file, content);
      }
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      report.refuse(spot, why, "Let this user read the file.");
    }
  }
  sections.delete("include");
  return { files, rows, sections };
}

function includedFiles(include: Sourced | undefined, folder: string, report: Report) {
  if (!include || include.value === null) return [];
  const { value, spot } = include;
  const good = Array.isArray(value) && value.every((item) => typeof item === "string");
  if (!good || value.length > includeLimit) {
    report.refuse(
      spot,
      `include must be a list of at most ${includeLimit} files`,
      "Write include: [models.yaml].",
    );
    return [];
  }
  return (value as string[]).map((item, index) => ({
    file: isAbsolute(item) || isRemote(item) ? item : joinPath(folder, item),
    spot: { ...spot, path: [...spot.path, index] },
  }));
}

/** Beside the including file, be it in a bucket: there "s3://" stays as it is. */
export function joinPath(folder: string, item: string): string {
  const [scheme = ""] = /^\w+:\/\//.exec(folder) ?? [];
  return scheme + join(folder.slice(scheme.length), item);
}
