/** Runs the official conformance suite against a server, and holds two runs against one another. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const suite = join(
  import.meta.dir,
  "../../node_modules/@modelcontextprotocol/conformance/dist/index.js",
);

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** Scenario → its checks. */
export type Score = ReadonlyMap<string, readonly Check[]>;

/** Every scenario that a revision of the protocol requires, and those that it only reports. */
export async function runServerSuite(url: string, revision: string): Promise<Score> {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-mcp-suite-"));
  const command = [suite, "server", "--url", url, "--requirements", revision, "-o", folder];
  const child = Bun.spawn([process.execPath, ...command], {
    cwd: folder,
    stdout: "ignore",
    stderr: "ignore",
  });
  await child.exited;
  const score = new Map<string, readonly Check[]>();
  for await (const file of new Bun.Glob("**/checks.json").scan(folder)) {
    const name = /^server-(.+)-\d{4}-\d\d-\d\dT[^/]*\/checks\.json$/.exec(file)?.[1] ?? file;
    score.set(name, (await Bun.file(join(folder, file)).json()) as readonly Check[]);
  }
  rmSync(folder, { recursive: true, force: true });
  return score;
}

const isBad = ({ status }: Check) => status === "FAILURE" || status === "WARNING";

/** `scenario check: why`, in order. */
export function failuresOf(score: Score): readonly string[] {
  const all = [...score].flatMap(([name, checks]) =>
    checks.filter(isBad).map(({ id, errorMessage }) => `${name} ${id}: ${errorMessage ?? "?"}`),
  );
  return all.sort();
}

export const passesOf = (score: Score): number =>
  [...score.values()].flat().filter(({ status }) => status === "SUCCESS").length;

/**
 * What passes directly and does not through the gateway: checks that fail there, or are missing.
 * A check may stand several times in a scenario: each of its places counts. INFO is the suite's word
 * for what need not be: the gateway resumes a server's broken stream itself, so its own does not break.
 */
export function lostBetween(direct: Score, through: Score): readonly string[] {
  const lost: string[] = [];
  for (const [name, checks] of direct) {
    const found = through.get(name) ?? [];
    for (const id of new Set(checks.map((check) => check.id))) {
      const passed = (list: readonly Check[], ...as: readonly string[]) =>
        list.filter((check) => check.id === id && as.includes(check.status)).length;
      if (passed(found, "SUCCESS", "INFO") < passed(checks, "SUCCESS")) {
        const why = found.find((check) => check.id === id && check.status !== "SUCCESS");
        lost.push(`${name} ${id}: ${why?.errorMessage ?? why?.status ?? "not there"}`);
      }
    }
    const known = new Set(checks.filter(isBad).map(({ id }) => id));
    lost.push(
      ...found
        .filter((each) => isBad(each) && !known.has(each.id))
        .map(({ id }) => `${name} ${id}`),
    );
  }
  return [...new Set(lost)];
}
