/** House rules that a linter does not know. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..");
const files: { path: string; text: string }[] = [];
for await (const path of new Glob("{src,test,scripts}/**/*.ts").scan({ cwd: root })) {
  files.push({ path, text: await Bun.file(join(root, path)).text() });
}

test("a file opens with a line that says what it is", () => {
  const silent = files.filter(({ text }) => !/^(#!.*\n)?\/(\*\*|\/)/.test(text));
  expect(silent.map(({ path }) => path)).toEqual([]);
});

test("files are kebab-case and names say something", () => {
  const odd = files.filter(
    ({ path }) =>
      !/^[a-z0-9/.-]+$/.test(path) ||
      /(^|\/|-)(utils?|helpers?|common|misc|manager|service|handler)(-|\.|\/)/.test(path),
  );
  expect(odd.map(({ path }) => path)).toEqual([]);
});

test("no open end without an issue, no disabled test, no ignored type error", () => {
  const word = new RegExp(["TO", "DO(?!\\(#\\d+\\))|FIX", "ME|@ts-ig", "nore|\\.only\\("].join(""));
  const found = files.filter(({ text }) => word.test(text));
  expect(found.map(({ path }) => path)).toEqual([]);
});

test("a file of src is one thing: at most 400 lines, its test apart", () => {
  const long = files
    .map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }))
    .filter(
      ({ path, lines }) => path.startsWith("src/") && !path.endsWith(".test.ts") && lines > 400,
    );
  expect(long).toEqual([]);
});
