/**
 * Python's literals as data: what `repr` writes of lists, tuples, dicts, strings, numbers, True,
 * False and None. Nothing is executed; anything else is refused.
 * Source: https://docs.python.org/3/reference/lexical_analysis.html#literals
 */

/** Nesting that is followed. */
const maxDepth = 64;

/** The value, JSON's or Python's; undefined where the text is neither. */
export function parseJsonOrPython(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // not JSON: perhaps Python's
  }
  const reader = new LiteralReader(text);
  try {
    const value = reader.value(0);
    reader.space();
    return reader.at === text.length ? value : undefined;
  } catch (error) {
    if (error instanceof NotLiteral) return undefined;
    throw error;
  }
}

class NotLiteral extends Error {}

const words: Readonly<Record<string, unknown>> = {
  True: true,
  False: false,
  None: null,
  nan: null,
  true: true,
  false: false,
  null: null,
};

class LiteralReader {
  at = 0;
  private readonly text: string;
  constructor(text: string) {
    this.text = text;
  }

  value(depth: number): unknown {
    if (depth > maxDepth) throw new NotLiteral();
    this.space();
    const first = this.text[this.at];
    if (first === "[") return this.list("]", depth);
    if (first === "(") return this.list(")", depth);
    if (first === "{") return this.dict(depth);
    const string = /^[rRuU]?(?=['"])/.exec(this.text.slice(this.at, this.at + 2));
    if (string) return this.strings();
    const token = /^[-+]?[A-Za-z_0-9.]+(?:[eE][-+]?\d+)?/.exec(
      this.text.slice(this.at, this.at + 64),
    );
    if (!token) throw new NotLiteral();
    this.at += token[0].length;
    if (token[0] in words) return words[token[0]];
    const number = Number(token[0].replaceAll("_", ""));
    if (Number.isNaN(number)) throw new NotLiteral();
    return number;
  }

  space(): void {
    while (/\s/.test(this.text[this.at] ?? "")) this.at++;
  }

  private list(end: string, depth: number): unknown[] {
    this.at++;
    const items: unknown[] = [];
    for (;;) {
      this.space();
      if (this.take(end)) return items;
      items.push(this.value(depth + 1));
      this.space();
      if (this.take(end)) return items;
      this.expect(",");
    }
  }

  private dict(depth: number): Record<string, unknown> {
    this.at++;
    const out: [string, unknown][] = [];
    for (;;) {
      this.space();
      if (this.take("}")) break;
      const key = this.value(depth + 1);
      this.space();
      this.expect(":");
      out.push([String(key), this.value(depth + 1)]);
      this.space();
      if (this.take("}")) break;
      this.expect(",");
    }
    return Object.fromEntries(out);
  }

  /** One string, or several that Python would join. */
  private strings(): string {
    let whole = "";
    for (;;) {
      const raw = /[rR]/.test(this.text[this.at] ?? "");
      if (/[rRuU]/.test(this.text[this.at] ?? "")) this.at++;
      whole += this.string(raw);
      const mark = this.at;
      this.space();
      if (!/^[rRuU]?['"]/.test(this.text.slice(this.at, this.at + 2))) {
        this.at = mark;
        return whole;
      }
    }
  }

  private string(raw: boolean): string {
    const quote = this.text[this.at] as string;
    this.at++;
    let out = "";
    for (;;) {
      const char = this.text[this.at++];
      if (char === undefined) throw new NotLiteral();
      if (char === quote) return out;
      out += char === "\\" && !raw ? this.escape() : char;
    }
  }

  private escape(): string {
    const char = this.text[this.at++] ?? "";
    const plain: Readonly<Record<string, string>> = {
      n: "\n",
      t: "\t",
      r: "\r",
      a: "\u0007",
      b: "\b",
      f: "\f",
      v: "\v",
      "\n": "",
    };
    if (char in plain) return plain[char] as string;
    const width = { x: 2, u: 4, U: 8 }[char];
    if (width !== undefined) {
      const hex = this.text.slice(this.at, this.at + width);
      if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < width) throw new NotLiteral();
      this.at += width;
      const code = Number.parseInt(hex, 16);
      if (code > 0x10ffff) throw new NotLiteral();
      return String.fromCodePoint(code);
    }
    return char === "\\" || char === "'" || char === '"' ? char : `\\${char}`;
  }

  private take(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private expect(char: string): void {
    if (!this.take(char)) throw new NotLiteral();
  }
}
