/** What OpenAI's and compatible models differ in when they are asked. */
import type { ModelFacts } from "../../domain/model.ts";

/** OpenAI's own families that reason: they take `max_completion_tokens` and `reasoning_effort`. */
const reasoner = /^(o[1-9]|gpt-[5-9](?!.*chat))/;

export const isOpenaiReasoner = (model: string) => reasoner.test(model);

/** Whether `reasoning_effort` means something to a model; its facts know best. */
export function reasons(model: string, facts: ModelFacts | undefined): boolean {
  const name = model.slice(model.lastIndexOf("/") + 1);
  return facts?.capabilities?.reasoning ?? (isOpenaiReasoner(name) || /^gpt-oss/.test(name));
}
