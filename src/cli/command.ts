/** The contract of a command: it declares itself, so help, docs and completion come from one place. */

export interface Flag {
  readonly description: string;
  /** Shown in help: `FILE`, `N`. Missing: a switch. */
  readonly value?: string;
  readonly short?: string;
  readonly repeat?: boolean;
  /** A flag that takes every word up to the next flag: `--data a b c`. */
  readonly many?: boolean;
}

export interface Output {
  /** A line for the reader on standard output. Silent with `--json`. */
  line(text: string): void;
  /** One JSON line on standard output. Silent without `--json`, so a command may call both. */
  json(value: unknown): void;
  /** A line on standard error. */
  note(text: string): void;
  /** A progress bar on a terminal, plain lines otherwise, nothing with `--json`. */
  progress(label: string, share: number): void;
  readonly terminal: boolean;
}

export interface CommandContext {
  readonly args: readonly string[];
  /** `--json` and `--help` are every command's; `flags.json` is true where the first is given. */
  readonly flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly out: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts at SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

export interface Command {
  /** `serve`, `models verify`. */
  readonly name: string;
  readonly summary: string;
  /**
   * Positional arguments, in order, and what they are. A name in brackets may be left out:
   * `[FILE]`; one that ends in "…" takes the rest: `FILE…`, `[FILE…]`.
   */
  readonly args?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, Flag>>;
  readonly example: string;
  /** Exit code: 0 ok, 1 failed, 2 usage. */
  run(context: CommandContext): Promise<number>;
}

export function defineCommand(command: Command): Command {
  return command;
}
