/**
 * Requests that are JSON and make no sense: every node of a rich request of every dialect replaced by
 * every kind of value, towards a provider of the same dialect and of another. Each ends in an answer
 * or in a 4xx of the caller's dialect; none in a 5xx, a hang or a failure of ours.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isObject, type Json, type JsonObject } from "../../src/domain/json.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { createFamilyUpstream } from "../support/family-upstream.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { nonsenseCases, richRequests } from "./nonsense.ts";
import { isErrorOf, type TortureRoute, yamlOf } from "./routes.ts";

const upstream = createFamilyUpstream();
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway({ yaml: yamlOf(upstream.url), outbound: createOutbound() });
});
afterAll(async () => {
  await gateway.gateway.close();
  upstream.close();
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function send(path: string, body: JsonObject): Promise<Answer> {
  const response = await fetch(`${gateway.gateway.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, text: await response.text() };
}

/** What is wrong with an answer to nonsense; undefined where nothing is. */
function problemOf({ status, text }: Answer, dialect: TortureRoute["dialect"]): string | undefined {
  if (status === 200) {
    // A stream that began, and could not go on, says so in-band; it never invents a fault of ours.
    return text.includes("The gateway failed on this call") ? text : undefined;
  }
  if (status < 400 || status >= 500) return `${status} ${text.slice(0, 300)}`;
  return isErrorOf(dialect, JSON.parse(text)) ? undefined : `not in the dialect: ${text}`;
}

const odd: readonly Json[] = [
  null,
  true,
  -1,
  1e308,
  "nonsense",
  [],
  [null],
  {},
  { type: "nonsense" },
];

/** Every copy of a value in which one node is another value, or is gone. */
function* damaged(value: Json, path = ""): Generator<readonly [string, Json | undefined]> {
  for (const other of odd) yield [`${path} = ${JSON.stringify(other)}`, other];
  yield [`${path} gone`, undefined];
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries())
      for (const [name, copy] of damaged(item as Json, `${path}[${i}]`))
        yield [name, value.toSpliced(i, 1, ...(copy === undefined ? [] : [copy]))];
  } else if (isObject(value)) {
    for (const [key, item] of Object.entries(value))
      for (const [name, copy] of damaged(item ?? null, path === "" ? key : `${path}.${key}`)) {
        const { [key]: _, ...rest } = value;
        yield [name, copy === undefined ? rest : { ...value, [key]: copy }];
      }
  }
}

describe.each(richRequests)("$name", ({ path, dialect, body }) => {
  test("as it is, is answered", async () => {
    expect(await send(path, body)).toMatchObject({ status: 200 });
  });

  test("damaged at every node", async () => {
    const problems: string[] = [];
    let sent = 0;
    const cases = [...damaged(body)].filter(([, copy]) => isObject(copy));
    const next = async () => {
      for (let one = cases.pop(); one; one = cases.pop()) {
        const [name, copy] = one;
        sent++;
        const problem = problemOf(await send(path, copy as JsonObject), dialect);
        if (problem !== undefined) problems.push(`${name}: ${problem}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, next));
    expect(problems).toEqual([]);
    expect(sent).toBeGreaterThan(30);
  });
});

describe("what makes no sense is refused, by the name of the field", () => {
  test.each(nonsenseCases)("%s", async (_name, { path, dialect, body, param }) => {
    const before = upstream.seen.length;
    const answer = await send(path, body);
    expect(answer).toMatchObject({ status: 400 });
    expect(isErrorOf(dialect, JSON.parse(answer.text))).toBe(true);
    expect(answer.text).toContain(param);
    expect(upstream.seen.length).toBe(before);
  });
});

test("after all of it the gateway has failed on nothing", () => {
  expect(gateway.log.filter((line) => line.includes("failed inside"))).toEqual([]);
});
