/**
 * Where JSON text goes wrong. The runtime's own parser is fast but does not say; this one is for the
 * failure alone, keeps no value, and does not recurse, so any depth is safe.
 * Source: RFC 8259.
 */
export interface JsonFault {
  /** In UTF-16 units. */
  readonly offset: number;
  readonly message: string;
}

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const wordPattern = /true|false|null/y;
const spacePattern = /[ \t\r\n]*/y;

/** The first fault of text that JSON.parse refused. */
export function locateJsonError(text: string): JsonFault {
  let at = 0;
  const open: ("{" | "[")[] = [];
  const skip = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) return false;
    at += found[0].length;
    return true;
  };
  const fault = (message: string): JsonFault => ({ offset: at, message });
  const found = () => (at < text.length ? JSON.stringify(text[at]) : "the end of the text");

  skip(spacePattern);
  if (at === text.length) return fault("the JSON text is empty");
  let expectValue = true;
  let mayClose = false;
  while (at <= text.length) {
    skip(spacePattern);
    const top = open.at(-1);
    if (expectValue && top === "{") {
      if (mayClose && text[at] === "}") {
        open.pop();
        at++;
        expectValue = false;
        continue;
      }
      if (text[at] !== '"') return fault(`a key in double quotes was expected, not ${found()}`);
      const key = readString(text, at);
      if ("message" in key) return key;
      at = key.end;
      skip(spacePattern);
      if (text[at] !== ":") return fault(`":" was expected after the key, not ${found()}`);
      at++;
      skip(spacePattern);
    }
    if (expectValue) {
      const char = text[at];
      if (char === "{" || char === "[") {
        open.push(char);
        at++;
        mayClose = true;
        continue;
      }
      if (char === "]" && top === "[" && mayClose) {
        open.pop();
        at++;
      } else if (char === '"') {
        const string = readString(text, at);
        if ("message" in string) return string;
        at = string.end;
      } else if (!skip(numberPattern) && !skip(wordPattern)) {
        return fault(`a value was expected, not ${found()}`);
      }
      expectValue = false;
      continue;
    }
    if (top === undefined) {
      return fault(
        at < text.length
          ? `nothing may follow the value, but ${found()} does`
          : "the JSON is not valid",
      );
    }
    const close = top === "{" ? "}" : "]";
    if (text[at] === close) {
      open.pop();
      at++;
      continue;
    }
    if (text[at] !== ",") return fault(`"," or "${close}" was expected, not ${found()}`);
    at++;
    expectValue = true;
    mayClose = false;
  }
  return fault("the JSON is not valid");
}

/** Where a string ends, or why it does not: a raw control character, a wrong escape, no quote. */
function readString(text: string, from: number): { readonly end: number } | JsonFault {
  for (let at = from + 1; at < text.length; at++) {
    const char = text[at] as string;
    if (char === '"') return { end: at + 1 };
    if (char < " ") {
      const message = "a line break or control character in a string must be escaped";
      return { offset: at, message };
    }
    if (char !== "\\") continue;
    if (!/^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at, at + 6))) {
      return { offset: at, message: "a backslash in a string begins no known escape" };
    }
    at++;
  }
  return { offset: text.length, message: "a string does not end" };
}
