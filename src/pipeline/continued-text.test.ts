/** What the caller reads when another one goes on: every word once. */
import { expect, test } from "bun:test";
import { createContinuedText } from "./continued-text.ts";

const before = "The quick brown fox ";
const cases: readonly [what: string, said: string, pieces: readonly string[], read: string][] = [
  ["goes on", before, ["jumps", " over"], `${before}jumps over`],
  ["goes on with the space that was left out", before, [" jumps"], `${before}jumps`],
  ["repeats the beginning", before, ["The quick brown", " fox", " jumps"], `${before}jumps`],
  ["repeats it in one piece", before, ["The quick brown fox jumps"], `${before}jumps`],
  ["begins alike by chance", before, ["The ", "dog"], `${before}The dog`],
  ["says nothing more", before, [], before],
  ["ends while it might repeat", before, ["The qu"], `${before}The qu`],
  ["too short to tell", "ab", ["ab", "c"], "ababc"],
  ["nothing was said", "", ["Hello"], "Hello"],
  ["a new line was said last", "One.\n\n", ["\n\nTwo."], "One.\n\nTwo."],
];
test.each(cases)("%s", (_what, said, pieces, read) => {
  const text = createContinuedText();
  let got = said === "" ? "" : text.add(said);
  text.resume();
  for (const piece of pieces) got += text.add(piece);
  got += text.flush();
  expect(got).toBe(read);
  expect(text.said).toBe(read);
});
