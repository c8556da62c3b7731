/** What docs/ says of configuration, errors, commands and routes is what the code says. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { generateDocs } from "../scripts/docs.ts";

const root = join(import.meta.dir, "..");
const docs = Object.entries(await generateDocs());

test.each(docs)("%s is up to date (npm run gen)", async (path, text) => {
  expect(await Bun.file(join(root, path)).text()).toBe(text);
});

test("every key, error and route says what it is", () => {
  for (const [path, text] of docs) {
    const silent = text.split("\n").filter((line) => /^\|.*\|\s+\|$/.test(line));
    expect({ path, silent }).toEqual({ path, silent: [] });
  }
});
