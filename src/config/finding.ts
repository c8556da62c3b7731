/** What is told of a configuration. */
/** Something to tell the operator. `warning`: works, but look; `error`: refused. */
export interface Finding {
  readonly level: "warning" | "error";
  readonly file: string;
  /** 1-based; 0 where the finding has no place in a file (an environment variable, say). */
  readonly line: number;
  /** 1-based; only where the file is not valid YAML. */
  readonly column?: number;
  /** Dotted: `router_settings.routing_strategy`. */
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}
