/** What could not be read of the data: counted, the first of it named by place, and never fatal alone. */
import { GatewayError } from "../../domain/errors.ts";

/** Problems that are named one by one; the rest is only counted. */
export const namedProblems = 20;

export interface DataProblems {
  /** @param message begins with its place: `file:line: …` */
  add(message: string): void;
  readonly count: number;
  /** The first `namedProblems` of them. */
  readonly first: readonly string[];
}

export function createProblems(onFirst: (message: string) => void = () => undefined): DataProblems {
  const first: string[] = [];
  let count = 0;
  return {
    add(message) {
      count++;
      if (first.length >= namedProblems) return;
      first.push(message);
      onFirst(message);
    },
    get count() {
      return count;
    },
    first,
  };
}

/** What is wrong with one row. Its message has no place: whoever reads the file knows that. */
export class BadRow extends Error {}

/** A source of which nothing could be read. */
export function unreadable(name: string, message: string, cause?: unknown): GatewayError {
  return new GatewayError(
    "invalid_request",
    `${name}: ${message}`,
    cause === undefined ? {} : { cause },
  );
}
