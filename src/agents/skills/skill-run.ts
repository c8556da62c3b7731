/** One run of a skill: what it is given, and what comes of it. */
import type { Runtime } from "./skill-file.ts";

export interface SkillRun {
  readonly runtime: Runtime;
  readonly program: Uint8Array;
  /** Its path among the files. */
  readonly entry: string;
  /** What stands beside it, for runtimes that import. */
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array }[];
  /** The operator's own; what callers bring runs behind every wall or not at all. */
  readonly trusted: boolean;
  /** JSON. */
  readonly input: string;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly hosts: readonly string[];
}

export interface SkillResult {
  /** JSON. */
  readonly output: string;
  /** What it said on its console. */
  readonly logs: readonly string[];
}
