/**
 * A YAML file with its line numbers. Scalars are read as PyYAML reads them (YAML 1.1: `yes`, `on`
 * are booleans), since the files were written for LiteLLM; dates and times of day stay text.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from "yaml";
import type { Json } from "../domain/json.ts";
import type { Finding } from "./finding.ts";

export type Path = readonly (string | number)[];

/** Where something stands: for findings. */
export interface Spot {
  readonly source: YamlSource;
  readonly path: Path;
}

export interface YamlSource {
  readonly file: string;
  readonly value: Json;
  /** 1-based line of a key or item; of the nearest one above it where it is missing; 0 for none. */
  lineOf(path: Path): number;
}

export const configLimitBytes = 8 * 1024 * 1024;
/** Aliases that one file may use, so that a few lines cannot grow into gigabytes. */
const aliasLimit = 1_000;

const remedies: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: "Indent with spaces; YAML allows no tabs there.",
  BAD_INDENT: "Look for a bracket, brace or quote that is not closed on the lines above.",
  BLOCK_AS_IMPLICIT_KEY:
    'Put a value that holds ": " into quotes, or break the line after the key.',
  MISSING_CHAR: "Close the quote or bracket that opens above.",
  UNEXPECTED_TOKEN: "Line this up with the key it belongs to, or put the value into quotes.",
  BAD_ALIAS: "Write &name at the value it should repeat.",
  MULTIPLE_DOCS: 'Keep one document per file: remove the "---" line.',
};

export interface ParsedYaml {
  readonly source: YamlSource;
  readonly findings: readonly Finding[];
}

/** Never throws: what is wrong with the text becomes findings, and then the value is `{}`. */
export function parseYaml(file: string, text: string): ParsedYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: "1.1",
    merge: true,
    uniqueKeys: false, // reported below as warnings: PyYAML lets the later one win
    prettyErrors: false,
    lineCounter: lines,
    customTags: (tags) => tags.filter(isWanted).map(withoutSingleLetters),
  });
  const failed = document.errors.map(({ code, message, pos }) => {
    const { line, col } = lines.linePos(pos[0]);
    const remedy = remedies[code] ?? "See https://yaml.org for the form of a YAML file.";
    return syntaxFinding(file, line, col, `not valid YAML: ${message}`, remedy);
  });
  if (failed.length > 0) return { source: emptySource(file), findings: failed.slice(0, 5) };
  try {
    const value = (document.toJS({ maxAliasCount: aliasLimit }) ?? {}) as Json;
    const lineOf = (path: Path) => findLine(document, lines, path);
    return { source: { file, value, lineOf }, findings: duplicateKeys(file, document, lines) };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const finding = syntaxFinding(
      file,
      1,
      1,
      `not valid YAML: ${why}`,
      remedies["BAD_ALIAS"] ?? "",
    );
    return { source: emptySource(file), findings: [finding] };
  }
}

export function emptySource(file: string): YamlSource {
  return { file, value: {}, lineOf: () => 0 };
}

/** `model_list[0].litellm_params.model`. */
export function showPath(path: Path): string {
  return path
    .map((step, index) =>
      typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`,
    )
    .join("");
}

function syntaxFinding(
  file: string,
  line: number,
  column: number,
  message: string,
  remedy: string,
) {
  return { level: "error", file, line, column, path: "", message, remedy } as const;
}

function isWanted(tag: unknown): boolean {
  if (typeof tag === "string") return true;
  const { tag: name = "", format = "" } = tag as { tag?: string; format?: string };
  return !/:(timestamp|binary|set|omap|pairs)$/.test(name) && format !== "TIME";
}

/** The library takes `y` and `n` for booleans; PyYAML does not, and they make good model names. */
function withoutSingleLetters<T>(tag: T): T {
  const { tag: name, test } = tag as { tag?: string; test?: RegExp };
  if (name !== "tag:yaml.org,2002:bool" || !test) return tag;
  const yes = test.test("true");
  const pattern = yes
    ? /^(?:[Yy]es|YES|[Tt]rue|TRUE|[Oo]n|ON)$/
    : /^(?:[Nn]o|NO|[Ff]alse|FALSE|[Oo]ff|OFF)$/;
  return { ...tag, test: pattern };
}

function findLine(document: Document, lines: LineCounter, path: Path): number {
  let node = resolved(document, document.contents);
  let line = 0;
  for (const step of path) {
    let offset: number | undefined;
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.findLast(
        ({ key }) => isScalar(key) && String(key.value) === String(step),
      );
      offset = isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
      next = pair?.value;
    } else if (isSeq(node) && typeof step === "number") {
      next = node.items[step];
      offset = (next as Node | undefined)?.range?.[0];
    }
    if (offset === undefined) return line;
    line = lines.linePos(offset).line;
    node = resolved(document, next);
  }
  return line;
}

function resolved(document: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function duplicateKeys(file: string, document: Document, lines: LineCounter): Finding[] {
  const findings: Finding[] = [];
  const visit = (node: unknown, path: Path): void => {
    if (isSeq(node))
      for (const [index, item] of node.items.entries()) visit(item, [...path, index]);
    if (!isMap(node)) return;
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : "";
      const inner = [...path, name];
      if (seen.has(name) && name !== "<<") {
        findings.push({
          level: "warning",
          file,
          line: isScalar(key) && key.range ? lines.linePos(key.range[0]).line : 0,
          path: showPath(inner),
          message: `"${name}" stands here twice; the later one holds`,
          remedy: "Remove one of the two.",
        });
      }
      seen.add(name);
      visit(value, inner);
    }
  };
  visit(document.contents, []);
  return findings;
}
