/** Collects what is to be told about a configuration. */
import type { Finding } from "./finding.ts";
import { type Spot, showPath } from "./yaml.ts";

export interface Report {
  readonly findings: readonly Finding[];
  warn(spot: Spot, message: string, remedy: string): void;
  refuse(spot: Spot, message: string, remedy: string): void;
  add(...findings: readonly Finding[]): void;
}

/** A file of ten thousand mistakes is told about up to here. */
const findingLimit = 500;

export function createReport(): Report {
  const findings: Finding[] = [];
  const add = (...more: readonly Finding[]) => {
    for (const finding of more) if (findings.length < findingLimit) findings.push(finding);
  };
  const tell = (level: Finding["level"]) => (spot: Spot, message: string, remedy: string) => {
    const { source, path } = spot;
    add({
      level,
      file: source.file,
      line: source.lineOf(path),
      path: showPath(path),
      message,
      remedy,
    });
  };
  return { findings, warn: tell("warning"), refuse: tell("error"), add };
}

/** `config.yaml:12: model_list[0].model_name: …`, and the remedy on a line of its own. */
export function showFinding(finding: Finding): string {
  const { level, file, line, column, path, message, remedy } = finding;
  const place = [file, line > 0 ? line : undefined, column].filter((part) => part !== undefined);
  const about = path === "" ? "" : `${path}: `;
  return `${place.join(":")}: ${level}: ${about}${message}\n    ${remedy}`;
}
