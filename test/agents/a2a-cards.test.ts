/** Signed agent cards: the gateway's by the reference SDK's verifier, and others' by the gateway. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { AgentCard, generateAgentCardSignature, verifyAgentCardSignature } from "@a2a-js/sdk";
import { canonical } from "../../src/agents/a2a/card-signature.ts";
import type { Json } from "../../src/domain/json.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

// biome-ignore lint/suspicious/noExplicitAny: answers of the wire, whose shapes are what is tested
type Body = Record<string, any>;

const keys = generateKeyPairSync("ed25519");
const others = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pemOf = ({ publicKey }: typeof keys) =>
  publicKey.export({ type: "spki", format: "pem" }).toString();
const base = "https://gateway.example";

let it: TestGateway;
let server: Bun.Server<undefined>;
let tamper = false;

async function theirCard(): Promise<Body> {
  const url = `http://127.0.0.1:${server.port}/agent`;
  const plain = AgentCard.fromJSON({
    ...{ name: "Echo", description: "Says it again.", version: "1.2.3" },
    supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
    ...{ defaultInputModes: ["text/plain"], defaultOutputModes: ["text/plain"] },
    capabilities: { streaming: false, extensions: [{ uri: "urn:x", required: false }] },
    skills: [{ id: "echo", name: "Echo", description: "Again.", tags: ["é", ""] }],
  });
  const head = { alg: "EdDSA", kid: "k1", typ: "JOSE" };
  const signed = AgentCard.toJSON(
    await generateAgentCardSignature(keys.privateKey, head)(plain),
  ) as Body;
  return tamper ? { ...signed, description: "Says something else." } : signed;
}

beforeAll(async () => {
  server = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1" },
    fetch: async () => Response.json(await theirCard()),
  });
  const url = `http://127.0.0.1:${server.port}/agent`;
  const jwk = JSON.stringify(keys.publicKey.export({ format: "jwk" }));
  const list = [
    {
      agent_name: "writer",
      model: "m",
      description: "Writes.",
      agent_card_params: { iconUrl: "" },
    },
    { agent_name: "trusted", url, card_keys: [pemOf(others), JSON.parse(jwk)] },
    { agent_name: "unknown", url, card_keys: [pemOf(others)] },
  ];
  it = await startTestGateway({
    yaml: `
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]
routeiq_settings: {a2a: {base_url: "${base}"}}
agent_list: ${JSON.stringify(list)}
`,
    outbound: createOutbound(),
  });
});
afterAll(async () => {
  await it.gateway.close();
  await server.stop(true);
});

const get = async (path: string, version?: string): Promise<Body> => {
  const headers: Record<string, string> = version ? { "a2a-version": version } : {};
  return (await (await fetch(it.gateway.url + path, { headers })).json()) as Body;
};

const verify = verifyAgentCardSignature(async (kid, jku) => {
  expect(jku).toBe(`${base}/.well-known/a2a-keys.json`);
  const { keys: published } = await get("/.well-known/a2a-keys.json");
  const key = published.find((each: Body) => each["kid"] === kid) as Body;
  expect(key).not.toHaveProperty("d");
  return createPublicKey({ key, format: "jwk" });
});

describe("the gateway's", () => {
  const places = [
    ["/a2a/writer/.well-known/agent-card.json", "1.0"],
    ["/a2a/writer/.well-known/agent-card.json", undefined], // with the fields of both revisions
    ["/a2a/trusted/.well-known/agent-card.json", "1.0"],
    ["/.well-known/agent-card.json", "1.0"],
    ["/a2a/writer/extendedAgentCard", "1.0"],
  ] as const;
  test.each(places)("%s (%s) is signed", async (path, version) => {
    // As it came: the SDK's own object of it has lost the security schemes, which are signed as well.
    const card = (await get(path, version)) as AgentCard;
    await verify(card);
    const changed = { ...card, description: "Somebody else." };
    await expect(verify(changed)).rejects.toThrow("No valid signatures");
  });

  test("0.3's alone has none", async () => {
    expect(await get("/a2a/writer/.well-known/agent-card.json", "0.3")).not.toHaveProperty(
      "signatures",
    );
  });
});

describe("an agent's elsewhere", () => {
  test("is taken where one of the operator's keys made the signature", async () => {
    const card = await get("/a2a/trusted/.well-known/agent-card.json", "1.0");
    expect(card).toMatchObject({ name: "Echo", description: "Says it again." });
  });

  test("is refused where none did, and not spoken to", async () => {
    const card = await get("/a2a/unknown/.well-known/agent-card.json", "1.0");
    expect(JSON.stringify(card)).toContain("signed by none of the keys");
    const response = await fetch(`${it.gateway.url}/a2a/unknown`, {
      method: "POST",
      body: JSON.stringify({
        ...{ jsonrpc: "2.0", id: 1, method: "SendMessage" },
        params: { message: { messageId: "m", role: "ROLE_USER", parts: [{ text: "hi" }] } },
      }),
    });
    const { error } = (await response.json()) as Body;
    expect([error.code, error.message]).toEqual([
      -32006,
      expect.stringContaining("signed by none"),
    ]);
  });

  test("is refused once it was changed", async () => {
    tamper = true;
    const { gateway } = await startTestGateway({
      yaml: `
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]
agent_list: ${JSON.stringify([{ agent_name: "a", url: `http://127.0.0.1:${server.port}/agent`, card_keys: [pemOf(keys)] }])}
`,
      outbound: createOutbound(),
    });
    const card = await fetch(`${gateway.url}/a2a/a/.well-known/agent-card.json`);
    tamper = false;
    expect([card.status, await card.text()]).toEqual([
      502,
      expect.stringContaining("signed by none"),
    ]);
    await gateway.close();
  });

  test("keys that are none are refused with the configuration", async () => {
    const response = await fetch(`${it.gateway.url}/v1/agents`, {
      method: "POST",
      body: JSON.stringify({ agent_name: "x", url: "https://a.example", card_keys: ["no key"] }),
    });
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining("card_keys"),
    ]);
  });
});

// RFC 8785, appendix and §3.2: order by UTF-16 units, numbers and texts as ECMAScript writes them.
const vectors: readonly (readonly [Json, string])[] = [
  [{ b: 1, a: [true, null, "x"] }, '{"a":[true,null,"x"],"b":1}'],
  [
    { "\u20ac": 1, "\r": 2, "\u00f6": 3, "1": 4, "\ud83d\ude00": 5, "\ufb33": 6 },
    '{"\\r":2,"1":4,"\u00f6":3,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":6}',
  ],
  [[1e30, 4.5, 0.002, 1e-27], "[1e+30,4.5,0.002,1e-27]"],
  ["\u20ac$\u000f\nA'B\"\\/", '"€$\\u000f\\nA\'B\\"\\\\/"'],
];
test.each(vectors)("canonical JSON of %j", (value, text) => {
  expect(canonical(value)).toBe(text);
});
