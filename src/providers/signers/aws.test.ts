/** Signatures by AWS's own test vectors; keys got once, renewed in time, refused without secrets. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import type { AwsGrant } from "../../domain/model.ts";
import type { OutboundRequest } from "../../security/outbound.ts";
import { createAwsSigner, createSignedWay } from "./aws.ts";

const keys = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const at = Date.UTC(2015, 7, 30, 12, 36, 0);

function world(
  answer: (request: OutboundRequest, n: number) => Response = () => Response.json({}),
) {
  const clock = createVirtualClock(at);
  const seen: OutboundRequest[] = [];
  const outbound = {
    async fetch(request: OutboundRequest) {
      seen.push(request);
      return answer(request, seen.length);
    },
  };
  const readText = async (path: string) => {
    if (path === "/token") return "a.b.c\n";
    throw new Error(`no such file: ${path}`);
  };
  return { clock, seen, outbound, signer: createAwsSigner({ outbound, clock, readText }) };
}

const host = "https://example.amazonaws.com";
const form = "application/x-www-form-urlencoded";
const vectors: readonly (readonly [
  name: string,
  service: string,
  method: string,
  url: string,
  headers: Record<string, string>,
  body: string | undefined,
  signature: string,
])[] = [
  // AWS's Signature Version 4 test suite, by the names of its cases
  [
    ...(["get-vanilla", "service", "GET", `${host}/`, {}, undefined] as const),
    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
  ],
  [
    ...(["post-vanilla", "service", "POST", `${host}/`, {}, undefined] as const),
    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
  ],
  [
    "get-vanilla-query-order-key-case",
    "service",
    "GET",
    `${host}/?Param2=value2&Param1=value1`,
    {},
    undefined,
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  ],
  // The example of https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
  [
    "ListUsers",
    "iam",
    "GET",
    "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
    { "content-type": `${form}; charset=utf-8` },
    undefined,
    "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
  ],
];

describe("AWS's test vectors", () => {
  test.each(vectors)("%s", async (_name, service, method, url, headers, body, signature) => {
    const { signer } = world();
    const request = { url, method, headers, ...(body === undefined ? {} : { body }) };
    const signed = await signer.sign({ region: "us-east-1", service, keys }, request);
    const names = ["content-type", "host", "x-amz-date"].filter(
      (name) => name !== "content-type" || "content-type" in headers,
    );
    expect(signed["authorization"]).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/${service}/aws4_request, SignedHeaders=${names.join(";")}, Signature=${signature}`,
    );
    expect(signed["x-amz-date"]).toBe("20150830T123600Z");
    expect(signed["host"]).toBeUndefined();
  });

  test("a session's token is signed with", async () => {
    const { signer } = world();
    const grant = { region: "us-east-1", service: "bedrock", keys: { ...keys, sessionToken: "t" } };
    const signed = await signer.sign(grant, { url: `${host}/`, method: "POST", headers: {} });
    expect(signed["x-amz-security-token"]).toBe("t");
    expect(signed["authorization"]).toContain("SignedHeaders=host;x-amz-date;x-amz-security-token");
  });
});

const request = { url: `${host}/`, method: "POST", headers: {}, body: "{}" };
const role = { arn: "arn:aws:iam::1:role/r", sessionName: "s" };
const assumed: AwsGrant = { region: "eu-west-1", service: "bedrock", keys, role };

function giveRole(action: string) {
  return (_: OutboundRequest, n: number) =>
    Response.json({
      [`${action}Response`]: {
        [`${action}Result`]: {
          Credentials: {
            AccessKeyId: `AKID${n}`,
            SecretAccessKey: "s",
            SessionToken: `t${n}`,
            Expiration: at / 1000 + n * 3600,
          },
        },
      },
    });
}

describe("a role", () => {
  test("is assumed once for all who wait, and anew before its end", async () => {
    const { signer, seen, clock } = world(giveRole("AssumeRole"));
    const ask = async () => (await signer.sign(assumed, request))["x-amz-security-token"];
    expect(await Promise.all([ask(), ask()])).toEqual(["t1", "t1"]);
    expect(seen[0]?.url).toBe("https://sts.eu-west-1.amazonaws.com/");
    expect(seen[0]?.headers["authorization"]).toContain("/eu-west-1/sts/aws4_request");
    expect(Object.fromEntries(new URLSearchParams(String(seen[0]?.body)))).toMatchObject({
      Action: "AssumeRole",
      RoleArn: role.arn,
      RoleSessionName: "s",
    });
    await clock.advance(56 * 60_000); // within five minutes of its end: the old one serves meanwhile
    expect(await ask()).toBe("t1");
    await clock.advance(0);
    expect(await ask()).toBe("t2");
    await clock.advance(2 * 3600_000);
    expect(await ask()).toBe("t3");
    expect(seen).toHaveLength(3);
  });

  test("by a web identity, from a file, unsigned", async () => {
    const { signer, seen } = world(giveRole("AssumeRoleWithWebIdentity"));
    const grant = {
      region: "cn-north-1",
      service: "bedrock",
      role: { ...role, externalId: "x" },
      webIdentityToken: "oidc/file//token",
    };
    await signer.sign(grant, request);
    expect(seen[0]?.url).toBe("https://sts.cn-north-1.amazonaws.com.cn/");
    expect(seen[0]?.headers["authorization"]).toBeUndefined();
    expect(new URLSearchParams(String(seen[0]?.body)).get("WebIdentityToken")).toBe("a.b.c");
  });

  test("refused: why, and nothing secret", async () => {
    const body = { Error: { Code: "AccessDenied", Message: "not authorized to assume" } };
    const { signer } = world(() => Response.json(body, { status: 403 }));
    const error = await signer.sign(assumed, request).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "upstream_auth" });
    expect(error.message).toContain("AWS STS answered 403 to AssumeRole: not authorized to assume");
    expect(error.message).not.toContain("wJalr");
    const missing = { ...assumed, webIdentityToken: "/nowhere" };
    expect(await signer.sign(missing, request).catch((thrown) => thrown.message)).toContain(
      "cannot be read",
    );
  });

  test("keys that AWS calls stale are got anew", async () => {
    const { signer, outbound } = world((asked, n) =>
      asked.url === request.url
        ? Response.json(
            {},
            {
              status: n === 2 ? 403 : 200,
              headers: { "x-amzn-errortype": "ExpiredTokenException:http://x" },
            },
          )
        : giveRole("AssumeRole")(asked, n),
    );
    const sent: (string | undefined)[] = [];
    const spied = {
      fetch: (asked: OutboundRequest) => {
        sent.push(asked.headers["x-amz-security-token"]);
        return outbound.fetch(asked);
      },
    };
    const way = createSignedWay(spied, signer, assumed);
    const ask = { ...request, trust: "operator" } as const;
    await way.fetch(ask);
    await way.fetch(ask);
    expect(sent).toEqual(["t1", "t3"]);
  });
});

test("a body that is sent as it comes is refused: it cannot be signed", async () => {
  const { signer, outbound } = world();
  const way = createSignedWay(outbound, signer, assumed);
  const body = new ReadableStream<Uint8Array>();
  const sending = way.fetch({ ...request, body, trust: "operator" });
  expect(await sending.catch((thrown) => thrown.code)).toBe("unsupported_capability");
});
