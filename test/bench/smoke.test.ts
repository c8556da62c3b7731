/** Every benchmark runs, small: what is not run rots. Figures of such a run mean nothing. */
import { expect, test } from "bun:test";
import { createContext } from "./bench.ts";
import { benches } from "./registry.ts";

test.each(benches.map((bench) => [bench.name, bench] as const))(
  "%s",
  async (_name, bench) => {
    const notes: string[] = [];
    const rows = await bench.run(createContext(false, (text) => notes.push(text)));
    expect(rows).not.toBeEmpty();
    for (const { measured } of rows) expect(measured).not.toContain("NaN");
  },
  120_000,
);
