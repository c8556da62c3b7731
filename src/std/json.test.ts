/** Parsing with places, and splicing that agrees with JSON.parse. */
import { describe, expect, test } from "bun:test";
import {
  type JsonEdits,
  JsonParseFailed,
  maxJsonDepth,
  parseJson,
  replaceJsonField,
  spliceJson,
} from "./json.ts";
import { createRandom, nextInt, type Random } from "./random.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

function failure(bytes: Uint8Array): JsonParseFailed {
  try {
    parseJson(bytes);
  } catch (thrown) {
    if (thrown instanceof JsonParseFailed) return thrown;
    throw thrown;
  }
  throw new Error("it was parsed");
}

describe("a parse error says where and what", () => {
  const cases = [
    ["", 1, 1, "the JSON text is empty"],
    ["{", 1, 2, "a key in double quotes was expected, not the end of the text"],
    ['{"a":1,}', 1, 8, 'a key in double quotes was expected, not "}"'],
    ["[1,]", 1, 4, 'a value was expected, not "]"'],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, '"," or "}" was expected, not "\\""'],
    ['{"a" 1}', 1, 6, '":" was expected after the key, not "1"'],
    ["{'a': 1}", 1, 2, `a key in double quotes was expected, not "'"`],
    ['{"a": tru}', 1, 7, 'a value was expected, not "t"'],
    ['{"a": NaN}', 1, 7, 'a value was expected, not "N"'],
    ['{"a": "x\ny"}', 1, 9, "a line break or control character in a string must be escaped"],
    ['{"a": "\\x"}', 1, 8, "a backslash in a string begins no known escape"],
    ['{"a": "x', 1, 9, "a string does not end"],
    ['{"a": 1} b', 1, 10, 'nothing may follow the value, but "b" does'],
    ["[1,2", 1, 5, '"," or "]" was expected, not the end of the text'],
    ["01", 1, 2, 'nothing may follow the value, but "1" does'],
  ] as const;
  test.each(cases)("%j", (text, line, column, message) => {
    const found = failure(bytesOf(text));
    expect(found.reason).toBe("json");
    expect(found.message).toBe(`${message} (line ${line}, column ${column})`);
  });

  test("invalid UTF-8", () => {
    const found = failure(new Uint8Array([...bytesOf('{\n"€": "'), 0xff, 34, 125]));
    expect(found).toMatchObject({ reason: "utf8", offset: 10, line: 2, column: 7 });
  });

  test("nesting beyond the limit, even what would exhaust the stack", () => {
    const nested = (depth: number) => bytesOf("[".repeat(depth) + "]".repeat(depth));
    expect(failure(nested(maxJsonDepth + 2)).reason).toBe("depth");
    expect(failure(nested(200_000)).reason).toBe("depth");
    expect(parseJson(nested(maxJsonDepth))).toBeArray();
    expect(failure(bytesOf("[".repeat(200_000))).reason).toBe("json");
  });

  test("a byte order mark is passed over", () => {
    expect(parseJson(bytesOf('\uFEFF{"a":1}'))).toEqual({ a: 1 });
  });
});

test("whatever JSON.parse refuses, a place is found for; whatever it takes, we take", () => {
  const random = createRandom(3);
  for (let round = 0; round < 3000; round++) {
    const text = damage(random, JSON.stringify(randomValue(random, 4)));
    let value: unknown;
    let valid = true;
    try {
      value = JSON.parse(text);
    } catch {
      valid = false;
    }
    if (valid) expect(parseJson(bytesOf(text))).toEqual(value);
    else {
      const found = failure(bytesOf(text));
      expect(found.message).not.toContain("the JSON is not valid"); // the fallback: place unknown
      expect(found.offset).toBeLessThanOrEqual(text.length);
    }
  }
});

describe("spliceJson", () => {
  const set = (value: unknown) => ({ set: JSON.stringify(value) });
  const remove = { remove: true } as const;
  const cases: readonly (readonly [string, string, JsonEdits, string])[] = [
    ["replaces", '{"model":"a","x":1}', { model: set("b") }, '{"model":"b","x":1}'],
    [
      "keeps white space",
      '{ "model" : "a" ,\n"x": 1.0 }',
      { model: set("b") },
      '{ "model" : "b" ,\n"x": 1.0 }',
    ],
    [
      "leaves deeper fields",
      '{"m":[{"model":"a"}],"model":"a"}',
      { model: set("b") },
      '{"m":[{"model":"a"}],"model":"b"}',
    ],
    [
      "sees through escapes",
      '{"x":"\\"model\\":\\\\","\\u006dodel":"a"}',
      { model: set("b") },
      '{"x":"\\"model\\":\\\\","\\u006dodel":"b"}',
    ],
    [
      "every duplicate",
      '{"model":"a","model":"c"}',
      { model: set("b") },
      '{"model":"b","model":"b"}',
    ],
    ["adds", '{"x":1}', { model: set("b") }, '{"x":1,"model":"b"}'],
    ["adds to nothing", "{ }", { model: set("b") }, '{ "model":"b"}'],
    ["removes the first", '{"a":1, "b":2}', { a: remove }, '{"b":2}'],
    ["removes the last", '{"a":1, "b":2 }', { b: remove }, '{"a":1 }'],
    ["removes some", '{"a":1,"b":2,"c":3,"d":4}', { b: remove, d: remove, c: remove }, '{"a":1}'],
    ["removes all", '{"a":1,"b":2}', { a: remove, b: remove }, "{}"],
    ["removes all and adds", '{"a":1,"b":2}', { a: remove, b: remove, c: set(3) }, '{"c":3}'],
    [
      "removes and replaces",
      '{"a":1,"b":[{"a":2}],"c":3}',
      { a: remove, c: set(4) },
      '{"b":[{"a":2}],"c":4}',
    ],
    ["merges into nothing", '{"a":1}', { o: { merge: { u: "true" } } }, '{"a":1,"o":{"u":true}}'],
    ["merges into null", '{"o":null}', { o: { merge: { u: "true" } } }, '{"o":{"u":true}}'],
    [
      "merges into an object",
      '{"o":{"x":{"u":0},"u":false}}',
      { o: { merge: { u: "true" } } },
      '{"o":{"x":{"u":0},"u":true}}',
    ],
    [
      "merges into an empty object",
      '{"o":{}}',
      { o: { merge: { u: "true" } } },
      '{"o":{"u":true}}',
    ],
    ["does nothing", '{"a":1}', { z: remove }, '{"a":1}'],
    ["a name of Object's own", '{"constructor":1}', {}, '{"constructor":1}'],
  ];
  test.each(cases)("%s", (_name, text, edits, expected) => {
    expect(spliceJson(text, edits)).toBe(expected);
  });

  test("without a change the text comes back", () => {
    const text = '{"a":1}';
    expect(spliceJson(text, { z: remove })).toBe(text);
    expect(spliceJson(text, {})).toBe(text);
  });

  const replaced = [
    ['{"model":"a","x":{"model":"a"}}', '{"model":"b","x":{"model":"a"}}'],
    ['{ "mod\\u0065l" : "a" , "model":"a"}', '{ "mod\\u0065l" : "b" , "model":"b"}'],
    ['{"y":"\\"model\\":","model":"a"}', '{"y":"\\"model\\":","model":"b"}'],
    ['{"messages":[]}', '{"messages":[],"model":"b"}'],
    ["{}", '{"model":"b"}'],
  ] as const;
  test.each(replaced)("replaceJsonField %s", (text, expected) => {
    expect(replaceJsonField(text, "model", '"b"')).toBe(expected);
    expect(spliceJson(text, { model: { set: '"b"' } })).toBe(expected);
  });

  test("agrees with JSON.parse on random objects", () => {
    const random = createRandom(2);
    for (let round = 0; round < 3000; round++) {
      const body = { ...(randomObject(random, 4) as Record<string, unknown>) };
      const text = JSON.stringify(body, null, nextInt(random, 3));
      const edits = {
        model: { set: '"new\\"€"' },
        gone: { remove: true },
        options: { merge: { include: "true" } },
      } as const;
      const options = body["options"];
      const isRecord = typeof options === "object" && options !== null && !Array.isArray(options);
      const expected: Record<string, unknown> = {
        ...body,
        model: 'new"€',
        options: { ...(isRecord ? options : {}), include: true },
      };
      delete expected["gone"];
      const spliced = spliceJson(text, edits);
      expect(JSON.parse(spliced)).toEqual(expected);
    }
  });
});

const keys = [
  "model",
  "gone",
  "options",
  "a",
  'q"uote',
  "back\\slash",
  "€",
  "",
  "include",
  "long ".repeat(12),
];

function randomObject(random: Random, depth: number): unknown {
  const count = nextInt(random, 6);
  const pairs = Array.from({ length: count }, () => [
    keys[nextInt(random, keys.length)],
    randomValue(random, depth - 1),
  ]);
  return Object.fromEntries(pairs);
}

function randomValue(random: Random, depth: number): unknown {
  const kind = nextInt(random, depth > 0 ? 7 : 5);
  if (kind === 0) return nextInt(random, 1000) / 8;
  if (kind === 1) return random.next() < 0.5;
  if (kind === 2) return null;
  if (kind === 3) return keys[nextInt(random, keys.length)];
  if (kind === 4) return '{"model": [\\"x\\"], ]}\\'.repeat(nextInt(random, 4));
  if (kind === 5)
    return Array.from({ length: nextInt(random, 4) }, () => randomValue(random, depth - 1));
  return randomObject(random, depth);
}

/** Sometimes cuts, drops, or puts in one character. */
function damage(random: Random, text: string): string {
  const at = nextInt(random, text.length + 1);
  const kind = nextInt(random, 4);
  if (kind === 0) return text;
  if (kind === 1) return text.slice(0, at);
  if (kind === 2) return text.slice(0, at) + text.slice(at + 1);
  return text.slice(0, at) + ('{}[]",:\\0a-e.\n'[nextInt(random, 14)] ?? "") + text.slice(at);
}
