/**
 * Amazon Bedrock: every maker's models by Converse, signed for AWS or let in by Bedrock's API keys.
 * Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
 * .../userguide/api-keys-use.html, .../userguide/inference-profiles.html; LiteLLM's parameters.
 */
import { providerDialects } from "../dialects/registry.ts";
import type { JsonObject } from "../domain/json.ts";
import type { AwsGrant, AwsKeys } from "../domain/model.ts";
import { bedrockEmbedding, embeddingBatch } from "./bedrock-embeddings.ts";
import { defineProvider, type Location, type Place, type Unlocated } from "./provider.ts";
import { domainOf } from "./signers/aws.ts";

/** LiteLLM's, where nothing names one. */
const defaultRegion = "us-west-2";
const keyEnv = ["AWS_BEARER_TOKEN_BEDROCK"];

export const bedrock = defineProvider({
  name: "bedrock",
  aliases: ["bedrock_converse"],
  dialect: providerDialects["bedrock-converse"],
  auth: { kind: "bearer", env: keyEnv },
  locate,
  toModel,
  paths: { chat: "/converse", embedding: "/invoke" },
  streamPath: "/converse-stream",
  outsideBody: ["model", "stream"],
  countChat: {
    applies: (model) => /claude/.test(model), // AWS counts for Anthropic's models alone
    path: "/count-tokens",
    toModel: (model) => model.replace(/^[a-z]{2,6}(-gov)?\.(?=anthropic\.)/, ""),
    toBody: toCount,
    tokensIn: ({ inputTokens }) => (typeof inputTokens === "number" ? inputTokens : undefined),
  },
  fit: { embedding: bedrockEmbedding },
  embeddingBatch,
  source: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
});

/** Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html */
function toCount(body: JsonObject): JsonObject {
  const { messages, system, toolConfig, additionalModelRequestFields: more } = body;
  return {
    input: {
      converse: {
        messages,
        ...(system === undefined ? {} : { system }),
        ...(toolConfig === undefined ? {} : { toolConfig }),
        ...(more === undefined ? {} : { additionalModelRequestFields: more }),
      },
    },
  };
}

/** LiteLLM's ways to say which API is meant, and a region within the name. */
const route = /^(converse|converse_like|invoke)\//;
const regionIn = /^([a-z]{2}(?:-[a-z]+)+-\d)\//;

export function toModel(model: string): string {
  return model.replace(route, "").replace(regionIn, "");
}

export function locate({ base, params, env }: Place): Location | Unlocated {
  const region = regionOf(params, env);
  if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(region)) {
    return {
      key: "aws_region_name",
      message: `"${region.slice(0, 60)}" is no AWS region`,
      remedy: "Write one such as us-east-1.",
    };
  }
  const endpoint =
    base ??
    textOf(params["aws_bedrock_runtime_endpoint"]) ??
    textOf(env["AWS_BEDROCK_RUNTIME_ENDPOINT"]) ??
    `https://bedrock-runtime.${region}.${domainOf(region)}`;
  // A profile's or a throughput's ARN, beside the name of the model behind it.
  const id = textOf(params["model_id"]);
  const model = id === undefined ? "{model}" : encodeURIComponent(id);
  const grant = grantOf(params, env, region);
  return {
    base: `${endpoint.replace(/\/+$/, "")}/model/${model}`,
    ...(grant ? { signs: grant } : {}),
  };
}

/** What the row says, an ARN's own region, the environment's. */
function regionOf(params: JsonObject, env: Place["env"]): string {
  const model = textOf(params["model"]) ?? "";
  const named = model.replace(/^[\w-]+\//, "").replace(route, "");
  const inArn = /^arn:aws[\w-]*:bedrock:([a-z0-9-]+):/.exec(textOf(params["model_id"]) ?? named);
  return (
    textOf(params["aws_region_name"]) ??
    regionIn.exec(named)?.[1] ??
    inArn?.[1] ??
    ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"]
      .map((name) => textOf(env[name]))
      .find((value) => value !== undefined) ??
    defaultRegion
  );
}

/** LiteLLM's names, which it also reads from the environment in capitals. */
const credentials = [
  "aws_access_key_id",
  "aws_profile_name",
  "aws_role_name",
  "aws_web_identity_token",
] as const;

/** A key lets in by itself; the row's own credentials stand above the environment's key. */
function grantOf(params: JsonObject, env: Place["env"], region: string): AwsGrant | undefined {
  if (textOf(params["api_key"]) !== undefined) return undefined;
  const isNamed = credentials.some((name) => textOf(params[name]) !== undefined);
  if (!isNamed && keyEnv.some((name) => textOf(env[name]) !== undefined)) return undefined;
  const pick = (name: string) => textOf(params[name]) ?? textOf(env[name.toUpperCase()]);
  const profile = pick("aws_profile_name");
  const keys = keysOf(params) ?? (profile === undefined ? keysOf(env, upper) : undefined);
  const arn = pick("aws_role_name");
  const identity = pick("aws_web_identity_token");
  const externalId = pick("aws_external_id");
  const stsEndpoint = pick("aws_sts_endpoint");
  return {
    region,
    service: "bedrock",
    ...(keys ? { keys } : {}),
    ...(profile ? { profile } : {}),
    ...(arn
      ? {
          role: {
            arn,
            sessionName: pick("aws_session_name") ?? "routeiq",
            ...(externalId ? { externalId } : {}),
          },
        }
      : {}),
    ...(identity ? { webIdentityToken: identityOf(identity, env) } : {}),
    ...(stsEndpoint ? { stsEndpoint } : {}),
  };
}

const upper = (name: string) => name.toUpperCase();

/** Both halves, or none: half a key is nobody's. */
function keysOf(
  from: Readonly<Record<string, unknown>>,
  spell: (name: string) => string = (name) => name,
): AwsKeys | undefined {
  const accessKeyId = textOf(from[spell("aws_access_key_id")]);
  const secretAccessKey = textOf(from[spell("aws_secret_access_key")]);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  const sessionToken = textOf(from[spell("aws_session_token")]);
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

/** `oidc/env/NAME` and `oidc/env_path/NAME`, by the environment. */
function identityOf(written: string, env: Place["env"]): string {
  const named = /^oidc\/env(_path)?\/(\w+)$/.exec(written);
  return named ? (textOf(env[named[2] ?? ""]) ?? written) : written;
}

const textOf = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
