/**
 * AWS Secrets Manager. Access: the AWS libraries' own chain, or a role (`aws_role_name`).
 * Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 */
import { pickFrom, type ReadSecret, type SecretSettings } from "../../config/secret-store.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { AwsGrant } from "../../domain/model.ts";
import { createAwsSigner, domainOf } from "../signers/aws.ts";
import type { TokenSourceOptions } from "../signers/token-request.ts";
import { askStore } from "./ask.ts";

const store = "AWS Secrets Manager";

export function openAwsSecrets(
  { settings, env }: SecretSettings,
  options: TokenSourceOptions,
): ReadSecret {
  const text = (name: string, ...variables: readonly string[]) => {
    const written = settings[name];
    if (typeof written === "string" && written !== "") return written;
    return variables.map((variable) => env[variable]).find(Boolean);
  };
  const region = text("aws_region_name", "AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION");
  if (region === undefined) {
    const message = "aws_secret_manager needs the environment variable AWS_REGION_NAME.";
    throw new GatewayError("config_invalid", message);
  }
  const grant = toGrant(region, text);
  const signer = createAwsSigner(options);
  const url =
    text("aws_secretsmanager_endpoint", "AWS_ENDPOINT_URL_SECRETS_MANAGER") ??
    `https://secretsmanager.${region}.${domainOf(region)}/`;

  async function read(id: string): Promise<string | undefined> {
    const request = {
      url,
      method: "POST",
      headers: {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "secretsmanager.GetSecretValue",
      },
      body: JSON.stringify({ SecretId: id }),
    };
    const headers = await signer.sign(grant, request);
    const answer = await askStore(
      store,
      { ...request, method: "POST", headers },
      options.outbound,
      (_status, { __type }) => String(__type).endsWith("ResourceNotFoundException"),
    );
    const value = answer?.["SecretString"];
    return typeof value === "string" ? value : undefined;
  }

  const primary = settings["primary_secret_name"];
  if (typeof primary !== "string" || primary === "") return read;
  let all: Promise<string | undefined> | undefined;
  return async (name) => {
    all ??= read(primary);
    return pickFrom(await all, name);
  };
}

function toGrant(
  region: string,
  text: (name: string, ...variables: readonly string[]) => string | undefined,
): AwsGrant {
  const id = text("aws_access_key_id", "AWS_ACCESS_KEY_ID");
  const secret = text("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY");
  const session = text("aws_session_token", "AWS_SESSION_TOKEN");
  const profile = text("aws_profile_name", "AWS_PROFILE_NAME");
  const role = text("aws_role_name", "AWS_ROLE_NAME");
  const endpoint = text("aws_sts_endpoint");
  return {
    region,
    service: "secretsmanager",
    ...(id && secret
      ? {
          keys: {
            accessKeyId: id,
            secretAccessKey: secret,
            ...(session ? { sessionToken: session } : {}),
          },
        }
      : {}),
    ...(profile ? { profile } : {}),
    ...(role
      ? {
          role: {
            arn: role,
            sessionName: text("aws_session_name", "AWS_SESSION_NAME") ?? "routeiq",
          },
        }
      : {}),
    ...(endpoint ? { stsEndpoint: endpoint } : {}),
  };
}
