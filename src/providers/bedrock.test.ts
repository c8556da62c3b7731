/** Where a Bedrock row leads, and by whose keys: LiteLLM's parameters, the environment's, an ARN's. */
import { describe, expect, test } from "bun:test";
import { resolveProvider } from "./resolve.ts";

const profile = "arn:aws:bedrock:ap-southeast-2:1:application-inference-profile/abc";
const role = { arn: "arn:aws:iam::1:role/r", sessionName: "routeiq" };

const cases = [
  // row, environment, [model, base, region, the rest of the grant; undefined: by a key]
  [
    { model: "bedrock/anthropic.claude-3-haiku-20240307-v1:0" },
    {},
    ["anthropic.claude-3-haiku-20240307-v1:0", "us-west-2", "{model}", {}],
  ],
  [
    { model: "bedrock/converse/us.amazon.nova-pro-v1:0" },
    { AWS_REGION: "us-east-2" },
    ["us.amazon.nova-pro-v1:0", "us-east-2", "{model}", {}],
  ],
  [
    { model: "bedrock/eu-central-1/anthropic.claude-v2:1", aws_profile_name: "p" },
    { AWS_REGION_NAME: "us-east-2" },
    ["anthropic.claude-v2:1", "eu-central-1", "{model}", { profile: "p" }],
  ],
  [
    { model: `bedrock/${profile}` },
    { AWS_REGION: "us-east-2" },
    [profile, "ap-southeast-2", "{model}", {}],
  ],
  [
    {
      model: "bedrock/meta.llama3-3-70b-instruct-v1:0",
      model_id: profile,
      aws_role_name: role.arn,
    },
    {},
    ["meta.llama3-3-70b-instruct-v1:0", "ap-southeast-2", encodeURIComponent(profile), { role }],
  ],
  [
    { model: "amazon.nova-lite-v1:0", aws_region_name: "cn-north-1" },
    {},
    ["amazon.nova-lite-v1:0", "cn-north-1", "{model}", {}],
  ],
  [
    {
      model: "bedrock/m.x",
      aws_role_name: role.arn,
      aws_session_name: "s",
      aws_external_id: "e",
      aws_web_identity_token: "oidc/env/TOKEN",
      aws_sts_endpoint: "https://sts.test",
    },
    { TOKEN: "a.b.c", AWS_BEARER_TOKEN_BEDROCK: "k" },
    [
      "m.x",
      "us-west-2",
      "{model}",
      {
        role: { arn: role.arn, sessionName: "s", externalId: "e" },
        webIdentityToken: "a.b.c",
        stsEndpoint: "https://sts.test",
      },
    ],
  ],
  [
    { model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0" },
    { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" },
    [
      "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
      "us-west-2",
      "{model}",
      { keys: { accessKeyId: "a", secretAccessKey: "s", sessionToken: "t" } },
    ],
  ],
  [
    { model: "bedrock/m.x", aws_access_key_id: "half" },
    { AWS_ROLE_NAME: role.arn, AWS_PROFILE_NAME: "p", AWS_ACCESS_KEY_ID: "a" },
    ["m.x", "us-west-2", "{model}", { profile: "p", role }],
  ],
  // A key lets in by itself; the row's own credentials stand above the environment's key.
  [
    { model: "bedrock/m.x" },
    { AWS_BEARER_TOKEN_BEDROCK: "k" },
    ["m.x", "us-west-2", "{model}", "k"],
  ],
  [
    { model: "bedrock/m.x", api_key: "own", aws_profile_name: "p" },
    { AWS_BEARER_TOKEN_BEDROCK: "k" },
    ["m.x", "us-west-2", "{model}", "own"],
  ],
  [
    { model: "bedrock/m.x", aws_access_key_id: "a", aws_secret_access_key: "s" },
    { AWS_BEARER_TOKEN_BEDROCK: "k" },
    ["m.x", "us-west-2", "{model}", { keys: { accessKeyId: "a", secretAccessKey: "s" } }],
  ],
] as const;

describe("a row leads to its region's endpoint", () => {
  test.each(cases)("%j with %j", (params, env, [model, region, path, wayIn]) => {
    const found = resolveProvider(params, env);
    if (found.status !== "served") throw new Error(found.message);
    const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
    expect(found).toMatchObject({
      upstreamModel: model,
      apiBase: `https://bedrock-runtime.${region}.${domain}/model/${path}`,
    });
    if (typeof wayIn === "string") {
      expect(found.apiKey).toBe(wayIn);
      expect(found).not.toHaveProperty("signs");
    } else {
      expect(found.signs).toEqual({ region, service: "bedrock", ...wayIn });
      expect(found).not.toHaveProperty("apiKey");
    }
    expect(found).not.toHaveProperty("missingKey");
  });

  test("or to the address that the operator wrote", () => {
    const params = { model: "bedrock/m.x", aws_bedrock_runtime_endpoint: "https://vpce.test/" };
    expect(resolveProvider(params, {})).toMatchObject({
      apiBase: "https://vpce.test/model/{model}",
    });
    const base = { ...params, api_base: "https://base.test" };
    expect(resolveProvider(base, {})).toMatchObject({ apiBase: "https://base.test/model/{model}" });
  });
});
