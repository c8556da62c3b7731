/** What the simulated models are more or less good at, and how they tell what a prompt is about. */

export const topics = [
  "code",
  "maths",
  "law",
  "translation",
  "writing",
  "small-talk",
  "facts",
  "extraction",
] as const;

export type Topic = (typeof topics)[number];

/** Words that give a topic away, for prompts that are not in the demo's own bank. */
const signs: Readonly<Record<Topic, RegExp>> = {
  code: /\b(code|function|python|typescript|javascript|rust|java|sql|bug|compile|regex|class|api|bash|script|algorithm|unit test|stack trace|refactor)\b/gi,
  maths:
    /\b(prove|theorem|integral|derivative|equation|solve|probability|percent|sum|prime|matrix|triangle|average|how many|calculate|divisible)\b|\d\s*[-+*/^=]\s*\d/gi,
  law: /\b(law|legal|contract|clause|court|liability|statute|tenant|landlord|employee|gdpr|copyright|sue|warranty|defendant)\b/gi,
  translation:
    /\b(translate|translation|french|german|spanish|italian|japanese|portuguese|dutch|in english|idiom)\b/gi,
  writing:
    /\b(write|poem|story|essay|haiku|limerick|slogan|speech|rewrite|tone|paragraph|headline|toast)\b/gi,
  "small-talk":
    /\b(hi|hello|hey|thanks|thank you|how are you|good morning|weekend|joke|bored|chat)\b/gi,
  facts:
    /\b(who|when|where|capital|population|invented|discovered|which year|tallest|history|how far|what is)\b/gi,
  extraction:
    /\b(extract|json|csv|table|fields|parse|list the|names in|dates in|classify|label|summari[sz]e)\b/gi,
};

/** The topic with most signs in a text; among equals the first listed, and small talk where none. */
export function guessTopic(text: string): Topic {
  let best: Topic = "small-talk";
  let most = 0;
  for (const topic of topics) {
    const count = text.slice(0, 4000).match(signs[topic])?.length ?? 0;
    if (count > most) [best, most] = [topic, count];
  }
  return best;
}
