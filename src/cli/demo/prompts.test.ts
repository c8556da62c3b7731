/** The demo's bank must be varied, reproducible, and winnable: no single model is best at all. */
import { expect, test } from "bun:test";
import { createRandom } from "../../std/random.ts";
import { createPromptBank } from "./prompts.ts";
import { simulatedModels, trueQuality } from "./simulated-models.ts";
import { guessTopic, topics } from "./topics.ts";

const bank = createPromptBank(createRandom(1), 80);

test("as many different prompts of every topic, no slot left open", () => {
  expect(bank).toHaveLength(80 * topics.length);
  expect(new Set(bank.map(({ text }) => text)).size).toBe(bank.length);
  expect(bank.filter(({ text }) => /[{}]/.test(text))).toEqual([]);
});

test("the same seed gives the same bank", () => {
  expect(createPromptBank(createRandom(1), 80)).toEqual(bank);
  expect(createPromptBank(createRandom(2), 80)).not.toEqual(bank);
});

test("every model is the best one somewhere, and the best on average is the dearest", () => {
  const mean = (model: (typeof simulatedModels)[number]) =>
    bank.reduce((sum, prompt) => sum + trueQuality(model, prompt, 1), 0) / bank.length;
  const ranked = [...simulatedModels].sort((a, b) => mean(b) - mean(a));
  expect(ranked[0]?.name).toBe("sim-sage");
  const winners = topics.map((topic) => {
    const skill = ({ skill }: (typeof simulatedModels)[number]) => skill[topic];
    return [...simulatedModels].sort((a, b) => skill(b) - skill(a))[0]?.name;
  });
  expect(new Set(winners).size).toBeGreaterThanOrEqual(4);
});

test("a model mostly sees what a prompt is about", () => {
  const right = bank.filter(({ text, topic }) => guessTopic(text) === topic).length;
  expect(right / bank.length).toBeGreaterThan(0.7);
});
