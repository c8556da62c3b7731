/** Where the real routing sets lie, for the scripts that measure on them. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { root } from "./run.ts";

/** The sets' folder: as given, by ROUTEIQ_TEST_DATA, or beside the repository; else it ends here. */
export function routingDataOrExit(script: string, given: string | undefined): string {
  const parent = resolve(root, given ?? process.env["ROUTEIQ_TEST_DATA"] ?? "../shared/data");
  const data = join(parent, "routing");
  if (existsSync(data)) return data;
  console.error(`${script}: ${data} is not there; say --data FOLDER, or set ROUTEIQ_TEST_DATA`);
  process.exit(2);
}
