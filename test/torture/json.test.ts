/**
 * JSON of every kind that breaks parsers, as a whole body and as a field's value, on every route that
 * takes JSON. The kinds are those of JSONTestSuite ("Parsing JSON is a Minefield", Nicolas Seriot).
 * What is refused is a 400 in the caller's dialect; what is taken reaches the provider as it came.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createOutbound } from "../../src/security/outbound.ts";
import { maxJsonDepth } from "../../src/std/json.ts";
import { createFamilyUpstream } from "../support/family-upstream.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { isErrorOf, routes, type TortureRoute, yamlOf } from "./routes.ts";

const upstream = createFamilyUpstream();
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway({ yaml: yamlOf(upstream.url), outbound: createOutbound() });
});
afterAll(async () => {
  await gateway.gateway.close();
  upstream.close();
});

const bytes = (...values: number[]) => Uint8Array.from(values);
const text = (value: string) => new TextEncoder().encode(value);

/** No JSON by RFC 8259: a name, then the value. */
const refused: readonly (readonly [string, string | Uint8Array])[] = [
  ["array, a comma and no second value", "[1,]"],
  ["array, a comma first", "[,1]"],
  ["array, two commas", "[1,,2]"],
  ["array, nothing but a comma", "[,]"],
  ["array, values without commas", "[1 2]"],
  ["array, a colon for a comma", "[1:2]"],
  ["array, closed twice", "[1]]"],
  ["array, never closed", "[1"],
  ["array, a closed one within one left open", "[[1]"],
  ["array, closed as an object", "[1}"],
  ["array, just a minus", "[-]"],
  ["array, a star", "[*]"],
  ["array, three dots", "[...]"],
  ["array, a newline left open", "[1,\n1\n,1"],
  ["array, a form feed", "[\f]"],
  ["array, a vertical tab", "[\v]"],
  ["object, a trailing comma", '{"a":1,}'],
  ["object, two trailing commas", '{"a":1,,}'],
  ["object, no colon", '{"a" 1}'],
  ["object, two colons", '{"a"::1}'],
  ["object, a comma for a colon", '{"a",1}'],
  ["object, no value", '{"a":}'],
  ["object, a key without quotes", "{a:1}"],
  ["object, a key in single quotes", "{'a':1}"],
  ["object, a number as key", "{1:1}"],
  ["object, null as key", "{null:1}"],
  ["object, never closed", '{"a":1'],
  ["object, a key alone", '{"a"'],
  ["object, closed as an array", '{"a":1]'],
  ["object, a comment", '{"a":1/**/}'],
  ["object, a comment left open", '{"a":1}/*'],
  ["object, a line comment", '{"a":1}//'],
  ["object, trailing garbage", '{"a":1}#'],
  ["object, a second value", '{"a":1}{"b":2}'],
  ["number, a leading zero", "01"],
  ["number, minus and a leading zero", "-01"],
  ["number, minus zero zero, with a fraction", "-00.0"],
  ["number, zero zero, with an exponent", "00e0"],
  ["number, a plus sign", "+1"],
  ["number, two plus signs", "++1"],
  ["number, two minus signs", "--1"],
  ["number, minus and a space", "- 1"],
  ["number, a minus alone", "-"],
  ["number, a dot first", ".5"],
  ["number, a dot last", "1."],
  ["number, minus and a dot", "-.5"],
  ["number, two dots", "1..2"],
  ["number, a dot and an exponent", "1.e1"],
  ["number, an exponent without digits", "1e"],
  ["number, an exponent's sign without digits", "1e+"],
  ["number, two exponents", "1e1e1"],
  ["number, an exponent with a fraction", "1e1.5"],
  ["number, hexadecimal", "0x1F"],
  ["number, octal", "0o7"],
  ["number, separators", "1_000"],
  ["number, a thousands' space", "1 000.0"],
  ["number, a letter after it", "1a"],
  ["number, NaN", "NaN"],
  ["number, minus NaN", "-NaN"],
  ["number, Infinity", "Infinity"],
  ["number, minus Infinity", "-Infinity"],
  ["number, full-width digits", "１"],
  ["number, a big integer's letter", "1n"],
  ["string, no closing quote", '"a'],
  ["string, a quote alone", '"'],
  ["string, single quotes", "'a'"],
  ["string, no quotes", "abc"],
  ["string, an escape cut short", '"\\'],
  ["string, an escaped closing quote", '"a\\"'],
  ["string, an unknown escape", '"\\a"'],
  ["string, an octal escape", '"\\01"'],
  ["string, a hexadecimal escape", '"\\x41"'],
  ["string, an escaped emoji", '"\\🌀"'],
  ["string, an escaped tab", '"\\\t"'],
  ["string, an escaped NUL", '"\\\0"'],
  ["string, \\u with too few digits", '"\\u00A"'],
  ["string, \\u with a letter that is no digit", '"\\u00Gx"'],
  ["string, \\U", '"\\U0041"'],
  ["string, a surrogate's second half cut short", '"\\uD834\\uDd"'],
  ["string, \\u{…}", '"\\u{1F600}"'],
  ["string, a raw newline", '"a\nb"'],
  ["string, a raw tab", '"a\tb"'],
  ["string, a raw NUL", '"a\0b"'],
  ["string, a raw 0x1f", '"a\u001fb"'],
  ["string, a backtick", "`a`"],
  ["word, capitalised", "True"],
  ["word, cut short", "tru"],
  ["word, nul", "nul"],
  ["word, undefined", "undefined"],
  ["word, followed by a letter", "nullx"],
  ["space, no-break", "\u00a0[]"],
  ["space, a word joiner", "[\u2060]"],
  ["space, a NUL", "[\0]"],
  ["byte order mark of UTF-8, within", "[\ufeff]"],
  ["UTF-8, a lone continuation byte", bytes(0x22, 0x81, 0x22)],
  ["UTF-8, a sequence cut short", bytes(0x22, 0xe0, 0xff, 0x22)],
  ["UTF-8, an overlong slash", bytes(0x22, 0xc0, 0xaf, 0x22)],
  ["UTF-8, an overlong of six bytes", bytes(0x22, 0xfc, 0x83, 0xbf, 0xbf, 0xbf, 0xbf, 0x22)],
  ["UTF-8, a surrogate as three bytes", bytes(0x22, 0xed, 0xa0, 0x80, 0x22)],
  ["UTF-8, beyond U+10FFFF", bytes(0x22, 0xf4, 0xbf, 0xbf, 0xbf, 0x22)],
  ["UTF-8, 0xff", bytes(0x22, 0xff, 0x22)],
  ["Latin-1", bytes(0x22, 0xe9, 0x22)],
  ["UTF-16, little endian with a mark", bytes(0xff, 0xfe, 0x5b, 0x00, 0x5d, 0x00)],
  ["UTF-16, big endian without a mark", bytes(0x00, 0x5b, 0x00, 0x5d)],
  ["UTF-32, little endian", bytes(0x5b, 0, 0, 0, 0x5d, 0, 0, 0)],
  ["a mark of UTF-8 cut short", bytes(0xef, 0xbb, 0x7b, 0x7d)],
  ["a mark of UTF-8 and nothing else", bytes(0xef, 0xbb, 0xbf)],
  ["an angle bracket", "<"],
  ["a page", "<!doctype html><p>no</p>"],
  ["depth, left open a hundred thousand deep", "[".repeat(100_000)],
  ["depth, objects left open", '{"a":'.repeat(50_000)],
  ["depth, left open within strings and arrays", '[{"":'.repeat(30_000)],
  ["depth, valid and beyond the limit", `${"[".repeat(5000)}${"]".repeat(5000)}`],
  ["depth, objects, valid and beyond", `${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`],
];

/** JSON, however odd. Readers differ on none of these but in what they make of the numbers. */
const taken: readonly (readonly [string, string])[] = [
  ["an empty array", "[]"],
  ["an array with spaces", "[ \t\r\n]"],
  ["an object with an empty key", '{"":0}'],
  ["an object with a NUL in its key", '{"a\\u0000b":1}'],
  ["duplicate keys", '{"a":1,"a":2}'],
  ["duplicate keys of the same value", '{"a":1,"a":1}'],
  ["the prototype's key", '{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}}}'],
  ["a number with every part", "-123.456E+78"],
  ["a number too big for a double", "1e999"],
  ["a number too small for one", "-1e-999"],
  ["an exponent of a hundred digits", `1e${"1".repeat(100)}`],
  ["an integer beyond 2⁵³", "9007199254740993"],
  ["an integer of a thousand digits", "1".repeat(1000)],
  ["minus zero", "-0"],
  ["a fraction of a thousand digits", `0.${"3".repeat(1000)}`],
  ["every escape", '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041"'],
  ["a NUL, escaped", '"\\u0000"'],
  ["a surrogate pair", '"\\uD83D\\uDE00"'],
  ["a lone first surrogate", '"\\uD800"'],
  ["a lone second surrogate", '"\\uDFAA"'],
  ["surrogates the wrong way round", '"\\uDd1e\\uD834"'],
  ["two first surrogates", '"\\uD800\\uD800\\n"'],
  ["a first surrogate and a letter", '"\\uD800abc"'],
  ["non-characters", '"\uffff\ufdd0"'],
  ["U+2028 and U+2029", '"\u2028\u2029"'],
  ["a byte order mark within a string", '"\ufeff"'],
  ["DEL", '"\u007f"'],
  ["four-byte characters", '"𝄞🏳️‍🌈"'],
  ["right-to-left marks", '"\u202eabc"'],
  ["a string of a megabyte", `"${"x".repeat(1_000_000)}"`],
  ["an array of a hundred thousand", `[${"0,".repeat(100_000)}0]`],
  [
    "depth, as deep as is allowed",
    `${"[".repeat(maxJsonDepth - 2)}${"]".repeat(maxJsonDepth - 2)}`,
  ],
];

const send = (route: TortureRoute, body: Uint8Array) =>
  fetch(`${gateway.gateway.url}${route.path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...route.headers },
    body: body as BodyInit,
  });

async function expectRefused(route: TortureRoute, body: Uint8Array): Promise<void> {
  const before = upstream.seen.length;
  const response = await send(route, body);
  const answer = await response.text();
  expect({ status: response.status, answer }).toMatchObject({ status: 400 });
  expect(isErrorOf(route.dialect, JSON.parse(answer))).toBe(true);
  expect(answer.length).toBeLessThan(2_000);
  expect(answer).not.toMatch(/\.ts:\d+|node_modules|SyntaxError/);
  expect(upstream.seen.length).toBe(before);
}

/** A good body with one more field, whose value is as given. */
function withField(route: TortureRoute, value: string | Uint8Array): Uint8Array {
  const good = JSON.stringify(route.good);
  const field = text(`${good.slice(0, -1)},"x_torture":`);
  return Buffer.concat([field, typeof value === "string" ? text(value) : value, text("}")]);
}

describe.each(routes)("$name", (route) => {
  test.each(refused)("refused: %s", async (_name, value) => {
    await expectRefused(route, typeof value === "string" ? text(value) : value);
    await expectRefused(route, withField(route, value));
  });

  test.each(["[]", '""', "0", "true", "null", '"a"', "[{}]"])("no object: %s", async (body) => {
    await expectRefused(route, text(body));
  });

  test.each(taken)("taken: %s", async (_name, value) => {
    const response = await send(route, withField(route, value));
    const answer = await response.text();
    expect({ status: response.status, answer: answer.slice(0, 500) }).toMatchObject({
      status: 200,
    });
    expect(JSON.parse(answer)).toBeObject();
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    if (!route.passes) return;
    // As the provider's own parser reads the caller's own words.
    expect(upstream.last().body["x_torture"]).toEqual(JSON.parse(value));
  });

  test("a byte order mark before the object is passed over, spaces around it too", async () => {
    const good = JSON.stringify(route.good);
    expect((await send(route, text(`\ufeff${good}`))).status).toBe(200);
    expect((await send(route, text(` \r\n\t${good}\n\n `))).status).toBe(200);
  });

  test("keys twice: every reader believes the same one", async () => {
    const good = JSON.stringify(route.good);
    const twice = `${good.slice(0, -1)},"model":${JSON.stringify(route.good["model"] ?? "m")}}`;
    const response = await send(route, text(twice));
    expect(response.status).toBe(200);
    expect(Object.keys(upstream.last().body).filter((key) => key === "model").length).toBe(1);
  });
});

test("after all of it the gateway has failed on nothing", () => {
  expect(gateway.log.filter((line) => line.includes("failed inside"))).toEqual([]);
});
