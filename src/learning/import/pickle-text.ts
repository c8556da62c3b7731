/** The texts of pickle's oldest protocol: numbers as digits, strings with escapes. */
import { importLimits, refuseImport } from "./values.ts";

export function toInteger(line: string): number | bigint {
  if (!/^[+-]?\d+$/.test(line) || line.length > 2.5 * importLimits.integerBytes) {
    return refuseImport("the pickle holds an integer that is none, or a very long one");
  }
  const value = Number(line);
  return Number.isSafeInteger(value) ? value : BigInt(line);
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  "0": "\0",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/** STRING: a literal in quotes; UNICODE: bare, with \u and \U alone. */
export function decodeEscapes(line: string, kind?: "unicode"): string {
  if (kind) {
    return line.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (_, short, long) =>
      toCharacter(short ?? long),
    );
  }
  const quote = line[0];
  if (line.length < 2 || (quote !== "'" && quote !== '"') || line.at(-1) !== quote) {
    return refuseImport("the pickle holds a string without quotes");
  }
  return line
    .slice(1, -1)
    .replace(/\\(?:x([0-9a-fA-F]{2})|([\s\S]))/g, (whole, hex, one) =>
      hex === undefined ? (escapes[one] ?? whole) : toCharacter(hex),
    );
}

function toCharacter(hex: string): string {
  const code = Number.parseInt(hex, 16);
  return code <= 0x10ffff
    ? String.fromCodePoint(code)
    : refuseImport("the pickle holds a character that is none");
}
