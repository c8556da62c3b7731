/** The sentences that the demo's prompts are made of. Own text; no data set was used. */
import type { Topic } from "./topics.ts";

export interface PromptTemplate {
  readonly text: string;
  /** 0 easy … 1 hard. */
  readonly difficulty: number;
}

export interface TopicTemplates {
  readonly templates: readonly PromptTemplate[];
  readonly slots: Readonly<Record<string, readonly string[]>>;
}

const easy = (text: string): PromptTemplate => ({ text, difficulty: 0.2 });
const fair = (text: string): PromptTemplate => ({ text, difficulty: 0.5 });
const hard = (text: string): PromptTemplate => ({ text, difficulty: 0.8 });

export const promptTemplates: Readonly<Record<Topic, TopicTemplates>> = {
  code: {
    templates: [
      easy("Write a {language} function that reverses {thing}."),
      easy("How do I read a file line by line in {language}?"),
      fair(
        "My {language} program throws a null reference when {thing} is empty. How do I fix the bug?",
      ),
      fair("Refactor this {language} loop over {thing} so that it has a unit test."),
      fair("Write a regex in {language} that matches {thing} and explain each part."),
      hard("Implement a lock-free queue of {thing} in {language} and argue why it is correct."),
      hard("Find the race condition in a {language} worker pool that processes {thing}."),
      hard("Write a {language} parser for {thing} with error recovery and no dependencies."),
    ],
    slots: {
      language: ["Python", "TypeScript", "Rust", "Go", "Java"],
      thing: ["a linked list", "an array of strings", "a binary tree", "JSON events"],
    },
  },
  maths: {
    templates: [
      easy("What is {number} percent of {amount}?"),
      easy("Solve the equation {number}x + {amount} = 0 for x."),
      fair(
        "A train covers {amount} km in {number} hours and stops twice. Calculate its average speed.",
      ),
      fair("How many integers below {amount} are divisible by {number} but not by 2?"),
      fair("What is the probability of drawing {number} red cards in a row from a deck of 52?"),
      hard("Prove by induction that the sum of the first {number} odd numbers is a square."),
      hard("Find the derivative of x^{number} · ln({amount}x) and all its zeros."),
      hard(
        "Compute the determinant of a {number} × {number} matrix with {amount} on the diagonal and 1 elsewhere.",
      ),
    ],
    slots: {
      number: ["3", "5", "7", "9", "12"],
      amount: ["48", "120", "360", "1,250"],
    },
  },
  law: {
    templates: [
      easy("What does the legal term {term} mean?"),
      fair("Can a {party} be held to {term} when the contract was never signed?"),
      fair("Which clauses must a {party} look for in a contract about {matter}?"),
      fair("Draft a clause on {matter} that protects the {party} from liability."),
      hard("Compare how courts treat {term} in {matter} cases under common and civil law."),
      hard("The {party} breached an agreement on {matter} and pleads {term}. Argue both sides."),
      hard("Does {term} bar a {party} from suing over {matter} after the limitation period?"),
    ],
    slots: {
      term: ["force majeure", "estoppel", "consideration", "strict liability", "indemnity"],
      party: ["tenant", "employee", "supplier", "licensee"],
      matter: ["data protection", "copyright", "late delivery", "a warranty"],
    },
  },
  translation: {
    templates: [
      easy('Translate "{phrase}" into {tongue}.'),
      easy('How do you say "{phrase}" in {tongue}?'),
      fair('Translate "{phrase}" into formal {tongue} for a letter to a client.'),
      fair('Give three translations of "{phrase}" in {tongue}, from polite to casual.'),
      hard('Find a {tongue} idiom that carries the tone of "{phrase}" and explain the difference.'),
      hard('Translate "{phrase}" into {tongue} so that the rhythm and the pun survive.'),
    ],
    slots: {
      phrase: [
        "the early bird catches the worm",
        "could you please send the invoice again",
        "it is raining cats and dogs",
        "we regret the delay of your parcel",
        "let's call it a day",
      ],
      tongue: ["French", "German", "Spanish", "Italian", "Japanese"],
    },
  },
  writing: {
    templates: [
      easy("Write a slogan for {subject}."),
      easy("Write a friendly headline about {subject}."),
      fair("Write a short story about {subject} in a {mood} tone."),
      fair("Rewrite a dull paragraph on {subject} so that it sounds {mood}."),
      fair("Write a {mood} wedding toast that mentions {subject}."),
      hard("Write a sonnet about {subject} that turns {mood} in its last couplet."),
      hard("Write the opening page of a novel on {subject}, {mood}, with an unreliable narrator."),
    ],
    slots: {
      subject: [
        "a lighthouse",
        "a bakery at night",
        "an old bicycle",
        "the first snow",
        "a lost letter",
      ],
      mood: ["wistful", "playful", "solemn", "suspenseful"],
    },
  },
  "small-talk": {
    templates: [
      easy("{hello} How are you {time}?"),
      easy("{hello} Any plans for the weekend?"),
      easy("{hello} Tell me a joke to get through {time}."),
      easy("Thanks, that helped a lot. Have a good one {time}!"),
      easy("{hello} I am a bit bored {time}, shall we chat?"),
      easy("{hello} What would you cook {time} if you could eat?"),
      fair("{hello} I had a rough day at work {time}. Cheer me up?"),
    ],
    slots: {
      hello: ["Hi!", "Hey there.", "Good morning!", "Hello again."],
      time: ["today", "this evening", "on a Monday", "right now", "before the weekend"],
    },
  },
  facts: {
    templates: [
      easy("What is the capital of {place}?"),
      easy("Which river is the longest in {place}?"),
      fair("Who was head of state of {place} in {year}?"),
      fair("What was invented in {place} around {year}?"),
      fair("How many people lived in {place} in {year}?"),
      hard("Which treaty changed the borders of {place} after {year}, and who signed it?"),
      hard("Name a lesser known scientist from {place} active in {year} and a discovery."),
    ],
    slots: {
      place: ["Portugal", "Kenya", "Japan", "Peru", "Norway"],
      year: ["1850", "1905", "1938", "1975"],
    },
  },
  extraction: {
    templates: [
      easy("List the {field} in this note as JSON: {note}"),
      easy("Classify the sentiment of this note with one label: {note}"),
      fair("Extract {field} from the text into a table with two columns: {note}"),
      fair("Parse this note to CSV with the fields {field} and owner: {note}"),
      fair("Summarise this note in one line and list its {field}: {note}"),
      hard("Which {field} in this note contradict one another? Answer as JSON: {note}"),
      hard("Extract every pair of {field} that refer to one another, as JSON with offsets: {note}"),
    ],
    slots: {
      field: ["dates", "names", "amounts", "places"],
      note: [
        "Met Ines in Porto on 3 May, she owes us 240 euros until June.",
        "Call Okoro back about the Lagos order of 12 pumps, due 9 August.",
        "The Bergen team moved the launch from Tuesday to Friday, cost 1,900.",
        "Mira likes the flat in Graz but the 14 October viewing clashes.",
        "Invoice 118 from the Lyon studio: 3,400 euros, due 1 March, paid 12 March by Aziz.",
      ],
    },
  },
};
