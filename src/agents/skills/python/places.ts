/** Where Python's runtime for skills may lie. Plain data: it goes to the thread that runs skills. */

export interface PythonPlaces {
  /** `routeiq_settings.skills.python_runtime`: an archive or a folder. */
  readonly configured?: string;
  /** Of the gateway; what is installed lies in `runtimes/` of it. */
  readonly dataDir: string;
  /** Where the executable lies, and perhaps the archive. */
  readonly besideDir?: string;
  /** In the source tree: the package that the tests use. */
  readonly sourceDir?: string;
}
