/** The first word of a command line that makes this program the process of one skill in Python. */
export const pythonHostWord = "--python-skill-host";

/** What goes between the two, a JSON line each. To the process: */
export type ToPython =
  | { readonly run: PythonProgram }
  | {
      readonly fetched: { readonly id: number; readonly answer?: unknown; readonly error?: string };
    };

/** And from it. */
export type FromPython =
  | { readonly ready: { readonly confined: boolean } }
  | { readonly fetch: { readonly id: number; readonly url: string; readonly options: unknown } }
  | { readonly done: { readonly output: string; readonly logs: readonly string[] } }
  | { readonly failed: { readonly code: string; readonly message: string } };

export interface PythonProgram {
  readonly entry: string;
  /** Base64. */
  readonly files: readonly { readonly path: string; readonly content: string }[];
  /** JSON. */
  readonly input: string;
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly canFetch: boolean;
}
