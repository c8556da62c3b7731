/**
 * The demo's bank of prompts: written for it, spread over topics and difficulty by templates. The
 * topic and the difficulty are hidden from the gateway, which sees the text alone.
 */
import { type Random, shuffle } from "../../std/random.ts";
import { promptTemplates } from "./prompt-templates.ts";
import { type Topic, topics } from "./topics.ts";

export interface Prompt {
  readonly id: string;
  readonly text: string;
  readonly topic: Topic;
  /** What sort of question it is, within its topic: the template that it was made of. */
  readonly kind: string;
  /** 0 easy … 1 hard. */
  readonly difficulty: number;
}

/**
 * `perTopic` different prompts of every topic, shuffled, the same for the same random.
 * @throws RangeError when the templates of a topic give fewer.
 */
export function createPromptBank(random: Random, perTopic: number): readonly Prompt[] {
  const bank = topics.flatMap((topic) => {
    const all = shuffle([...expandTopic(topic)], random);
    if (all.length < perTopic) {
      throw new RangeError(`topic ${topic} has ${all.length} prompts, ${perTopic} were asked for`);
    }
    return all.slice(0, perTopic);
  });
  return shuffle(bank, random).map((prompt, at) => ({ ...prompt, id: `demo-${at + 1}` }));
}

/** What the templates give beyond a bank, shuffled: prompts that nothing else is done with. */
export function sparePrompts(random: Random, bank: readonly Prompt[]): readonly Prompt[] {
  const taken = new Set(bank.map(({ text }) => text));
  const rest = topics.flatMap((topic) => expandTopic(topic).filter(({ text }) => !taken.has(text)));
  return shuffle([...rest], random).map((prompt, at) => ({ ...prompt, id: `spare-${at + 1}` }));
}

/** Every prompt that the templates of a topic give. */
export function expandTopic(topic: Topic): readonly Omit<Prompt, "id">[] {
  const { templates, slots } = promptTemplates[topic];
  return templates.flatMap(({ text, difficulty }) =>
    fill(text, slots).map((filled) => ({ text: filled, topic, kind: text, difficulty })),
  );
}

/** All ways to fill `{slot}`s, slot by slot from the left. */
function fill(text: string, slots: Readonly<Record<string, readonly string[]>>): string[] {
  const name = /\{(\w+)\}/.exec(text)?.[1];
  if (name === undefined) return [text];
  return (slots[name] ?? []).flatMap((word) => fill(text.replace(`{${name}}`, word), slots));
}
