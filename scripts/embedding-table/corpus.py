"""Writes the sentences that the static embedder learns from: prompt-like text out of packages.

    python corpus.py DEBS NODE_MODULES OUT

DEBS is a folder of unpacked Debian packages (see README.md), NODE_MODULES this repository's. OUT gets
one JSON string per line, in a shuffled order that depends on nothing but the packages' versions, so
that the teacher may stop anywhere. No evaluation set is in it, and none may be added.
"""

import gzip
import html
import importlib
import json
import random
import re
import sys
from collections import defaultdict
from pathlib import Path

import chatterbot_corpus
import yaml

SEED = 20261125
LIMITS = {
    "wordnet": 34000,
    "question": 24000,
    "choice": 5000,
    "foldoc": 9000,
    "gcide": 5000,
    "jargon": 2500,
    "fortune": 5000,
    "perl": 6000,
    "python": 9000,
    "code": 4000,
    "readme": 6000,
    "chat": 4000,
    "reasoning": 9000,
    "maths": 5000,
}


def main(debs: Path, node_modules: Path, out: Path) -> None:
    rng = random.Random(SEED)
    words = list(wordnet(debs))
    sources = {
        "wordnet": definitions(words, rng),
        "question": questions(words, rng),
        "choice": choices(words, rng),
        "foldoc": dictionary(debs / "usr/share/dictd/foldoc.dict.dz"),
        "gcide": dictionary(debs / "usr/share/dictd/gcide.dict.dz"),
        "jargon": dictionary(debs / "usr/share/dictd/jargon.dict.dz"),
        "fortune": fortunes(debs / "usr/share/games/fortunes"),
        "perl": pod(debs / "usr/share/perl"),
        "python": python_docs(debs / "usr/share/doc/python3.11/html"),
        "code": code(node_modules),
        "readme": readmes(node_modules),
        "chat": chat(),
        "reasoning": reasoning(),
        "maths": maths(),
    }
    seen: set[str] = set()
    lines: list[str] = []
    for name, texts in sources.items():
        unique = []
        for text in texts:
            text = re.sub(r"[ \t]+", " ", text).strip()
            key = re.sub(r"\W+", " ", text.lower()).strip()
            if len(key) < 3 or key in seen:
                continue
            seen.add(key)
            unique.append(text[:700])
        rng.shuffle(unique)
        kept = unique[: LIMITS[name]]
        print(f"{name}: {len(kept)} of {len(unique)}")
        lines += kept
    rng.shuffle(lines)
    out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    print(len(lines), "sentences")


def wordnet(debs: Path):
    """(lemmas, part of speech, lexicographer file, definition, examples) of every synset."""
    for pos in ("noun", "verb", "adj", "adv"):
        for line in (debs / f"usr/share/wordnet/data.{pos}").read_text("latin-1").splitlines():
            if line.startswith("  "):
                continue
            head, gloss = line.split(" | ", 1)
            fields = head.split()
            lemmas = [fields[4 + 2 * i].replace("_", " ") for i in range(int(fields[3], 16))]
            lemmas = [re.sub(r"\(.*\)$", "", lemma) for lemma in lemmas]
            examples = re.findall(r'"([^"]{8,})"', gloss)
            definition = re.split(r'; *"', gloss)[0].strip().strip(";")
            yield lemmas, pos, int(fields[1]), definition, examples


def definitions(words, rng):
    for lemmas, _, _, definition, examples in words:
        form = rng.random()
        if form < 0.4:
            yield f"{lemmas[0]}: {definition}"
        elif form < 0.75:
            yield definition
        else:
            yield f"{', '.join(lemmas[:3])} means {definition}"
        yield from examples


NOUN = [
    "What is {a}?", "Explain {a} in simple terms.", "What is the difference between {a} and {b}?",
    "Write a short essay about {a}.", "Give me an overview of the history of {a}.",
    "How does {a} relate to {b}?", "Summarize what is known about {a}.", "Define {a}.",
    "List five facts about {a}.", "Write a poem about {a} and {b}.", "Tell me a joke about {a}.",
    "Can you recommend a good book on {a}?", "Who invented {a}?", "Where can I find {a}?",
    "Why is {a} important for {b}?", "What are the advantages and disadvantages of {a}?",
    "Write a Python function that takes a list of {a} and returns the most frequent one.",
    "Write a SQL query that counts {a} grouped by {b}.", "Design a class {a} with a method for {b}.",
    "Translate '{a}' into French.", "Translate this sentence to Spanish: the {a} is near the {b}.",
    "Write an email to my boss about {a}.", "Draft a press release announcing {a}.",
    "How many {a} are there in {b}?", "Is {a} a kind of {b}?", "Plan a lesson about {a} for children.",
    "Act as an expert on {a} and answer my questions about {b}.", "Compare {a}, {b} and {c}.",
    "Write a product description for {a}.", "Create a REST API for managing {a} in TypeScript.",
    "My {a} is broken. How do I fix it?", "Find me the nearest {a}.", "What is the price of {a}?",
    "Book a {a} for tomorrow at 7 pm.", "Get the current weather and the news about {a}.",
    "Search for {a} and send the results to my colleague.", "Classify the following text as {a} or {b}.",
    "Extract every {a} from the text below as JSON.", "What causes {a}, and how can it be prevented?",
    "You are a helpful assistant. The user asks about {a}. Answer briefly.",
]
VERB = [
    "How do I {a}?", "What does it mean to {a}?", "Why do people {a} and {b}?",
    "Give step by step instructions to {a}.", "Is it legal to {a}?", "Help me {a} this.",
    "Write a bash script to {a} all files in a directory.", "When should I {a} instead of {b}?",
]
QUALITY = ["What makes something {a}?", "Describe a {a} person.", "Rewrite this paragraph to sound more {a}.",
           "Give me three synonyms of {a}.", "What is the opposite of {a}?"]


def questions(words, rng):
    by_kind = {pos: [w for w in words if w[1] == pos] for pos in ("noun", "verb", "adj")}
    templates = {"noun": NOUN, "verb": VERB, "adj": QUALITY}
    for _ in range(LIMITS["question"] * 2):
        pos = rng.choices(("noun", "verb", "adj"), (0.75, 0.17, 0.08))[0]
        a = rng.choice(by_kind[pos])
        near = [w for w in rng.sample(by_kind[pos], 12) if w[2] == a[2]] or [rng.choice(by_kind[pos])]
        text = rng.choice(templates[pos]).format(
            a=rng.choice(a[0]), b=near[0][0][0], c=near[-1][0][0]
        )
        yield f"{text} {a[3]}." if rng.random() < 0.15 else text
        if rng.random() < 0.25:
            yield f"What is the word for: {a[3]}?"


def choices(words, rng):
    nouns = defaultdict(list)
    for word in words:
        if word[1] == "noun":
            nouns[word[2]].append(word)
    kinds = [kind for kind in sorted(nouns) if len(nouns[kind]) > 20]
    for _ in range(LIMITS["choice"] * 2):
        options = rng.sample(nouns[rng.choice(kinds)], 4)
        asked = options[0]
        rng.shuffle(options)
        letters = "\n".join(f"{x}. {o[0][0]}" for x, o in zip("ABCD", options, strict=True))
        definitions_ = "\n".join(f"{x}) {o[3]}" for x, o in zip("ABCD", options, strict=True))
        if rng.random() < 0.6:
            yield f"Which of the following is {asked[3]}?\n{letters}\nAnswer:"
        else:
            yield f"Choose the best definition of {asked[0][0]}.\n{definitions_}"


def paragraphs(text: str):
    for block in re.split(r"\n\s*\n", text):
        block = re.sub(r"\s+", " ", block).strip()
        if 25 <= len(block) and sum(c.isalpha() or c == " " for c in block) > 0.7 * len(block):
            yield block


def dictionary(path: Path):
    text = gzip.open(path).read().decode("utf-8", "replace")
    for block in paragraphs(re.sub(r"[{}\\]", "", text)):
        yield re.sub(r"\[[^\]]*\]|<[^>]*>", "", block)


def fortunes(folder: Path):
    for path in sorted(folder.iterdir()):
        if path.suffix or not path.is_file() or path.is_symlink() or "ascii" in path.name:
            continue
        for entry in path.read_text("utf-8", "replace").split("\n%\n"):
            yield re.sub(r"\s+", " ", entry)


def pod(folder: Path):
    for path in sorted(folder.glob("**/*.pod")):
        text = re.sub(r"[A-Z]<+ ?([^<>]*) ?>+", r"\1", path.read_text("utf-8", "replace"))
        for block in paragraphs(text):
            yield re.sub(r"^=\w+ ?", "", block)


def python_docs(folder: Path):
    for path in sorted(folder.glob("**/*.html")):
        for block in re.findall(r"<p>(.*?)</p>", path.read_text("utf-8", "replace"), re.S):
            text = html.unescape(re.sub(r"<[^>]+>", "", block))
            text = re.sub(r"\s+", " ", text).replace("¶", "")
            if len(text) > 30:
                yield text


def code(node_modules: Path):
    """Pieces of source, half of them with a request in front."""
    asks = ["Fix this code:", "Explain what this function does:", "Refactor:", "Add tests for this:", "Find the bug:"]
    rng = random.Random(SEED + 1)
    paths = sorted(p for p in node_modules.glob("*/**/*.js") if p.stat().st_size < 60000)
    for path in paths[:: max(1, len(paths) // 3000)]:
        text = path.read_text("utf-8", "replace")
        for body in re.findall(r"(?:^|\n)((?:export |async )*function .{40,500}?\n\})", text, re.S)[:3]:
            yield f"{rng.choice(asks)}\n{body}" if rng.random() < 0.5 else body


def readmes(node_modules: Path):
    for path in sorted(node_modules.glob("**/README.md")):
        text = re.sub(r"```.*?```|<[^>]+>|!?\[([^\]]*)\]\([^)]*\)", r"\1", path.read_text("utf-8", "replace"), flags=re.S)
        yield from paragraphs(text)
    for path in sorted(node_modules.glob("**/package.json")):
        try:
            description = json.loads(path.read_text("utf-8")).get("description")
        except (ValueError, AttributeError):
            continue
        if isinstance(description, str):
            yield description


def chat():
    folder = Path(chatterbot_corpus.__file__).parent / "data/english"
    for path in sorted(folder.glob("*.yml")):
        for conversation in yaml.safe_load(path.read_text("utf-8"))["conversations"]:
            for turn in conversation:
                yield str(turn.get("text", "") if isinstance(turn, dict) else turn)


def reasoning():
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    for name in sorted(DATASETS):
        try:
            for row in reasoning_gym.create_dataset(name, size=110, seed=SEED):
                yield row["question"]
        except Exception as error:  # one that lacks an optional part must not stop the rest
            print(f"reasoning-gym {name} skipped: {error}", file=sys.stderr)


def maths():
    module = importlib.import_module("mathgenerator")
    random.seed(SEED)
    for name, generator in sorted(vars(module).items()):
        if name.startswith("_") or not callable(generator):
            continue
        for _ in range(45):
            try:
                problem = generator()[0]
            except Exception:  # some generators fail on some draws
                continue
            if isinstance(problem, str):
                yield re.sub(r"\\[a-z]+|[${}]", " ", problem)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
