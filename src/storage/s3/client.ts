/** The S3 client: opened when it is first needed, its way out guarded, its failures in words. */
import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import type { S3Client } from "./sdk.ts";
import { createTransport } from "./transport.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3StoreOptions {
  /** Missing: the SDK's default chain. */
  readonly credentials?: S3Credentials;
  /** `s3://bucket/prefix`. */
  readonly url: string;
  /** AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; undefined: AWS itself. */
  readonly endpoint?: string;
  readonly region?: string;
  /** Plain http beyond this machine; on loopback it is always taken as written. */
  readonly allowHttp?: boolean;
  readonly outbound: Outbound;
  readonly clock: Clock;
}

/** @throws GatewayError config_invalid */
export function parseS3Url(url: string): { readonly bucket: string; readonly prefix: string } {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*?))?\/?$/.exec(url);
  if (!match) {
    throw new GatewayError("config_invalid", `"${url}" is not of the form s3://bucket/prefix`);
  }
  return { bucket: match[1] ?? "", prefix: match[2] ?? "" };
}

/** @throws GatewayError config_invalid */
export function checkEndpoint({ endpoint, allowHttp }: S3StoreOptions): void {
  if (endpoint === undefined || allowHttp) return;
  const url = URL.parse(endpoint);
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url?.hostname ?? "");
  if (!url || (url.protocol !== "https:" && !(url.protocol === "http:" && local))) {
    throw new GatewayError(
      "config_invalid",
      `The S3 endpoint "${endpoint}" is not https. For a store on a network that you trust, allow it with ROUTEIQ_ALLOW_HTTP_STORE=true.`,
    );
  }
}

export type Sdk = typeof import("./sdk.ts");
export interface Opened {
  readonly sdk: Sdk;
  readonly client: S3Client;
}

/** The SDK costs 5 MB and some 20 ms: only who uses S3 pays. */
export async function openClient(options: S3StoreOptions): Promise<Opened> {
  const { endpoint, region, credentials, outbound, clock } = options;
  const sdk = await import("./sdk.ts");
  const client = new sdk.S3Client({
    // A service of one's own has no regions, yet the signature needs a word.
    ...(region || endpoint ? { region: region ?? "us-east-1" } : {}),
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    ...(credentials ? { credentials } : {}),
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 2,
    requestHandler: createTransport(outbound, clock),
  });
  return { sdk, client };
}

export function statusOf(error: unknown): number | undefined {
  const metadata = isObject(error) ? error["$metadata"] : undefined;
  const status = isObject(metadata) ? metadata["httpStatusCode"] : undefined;
  return typeof status === "number" ? status : undefined;
}

export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

/** The SDK's own words, with what usually mends it. */
export function explain(error: unknown): string {
  const name = nameOf(error);
  const said = `${name}${error instanceof Error && error.message ? `: ${error.message}` : ""}`;
  const remedies: readonly (readonly [RegExp, string])[] = [
    [
      /CredentialsProviderError/,
      "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role",
    ],
    [/Region is missing/, "set AWS_REGION"],
    [/NoSuchBucket/, "the bucket does not exist"],
    [
      /AccessDenied|Forbidden/,
      "access denied; reading needs s3:GetObject and s3:ListBucket, publishing s3:PutObject",
    ],
  ];
  const remedy = remedies.find(([pattern]) => pattern.test(said))?.[1];
  return remedy ? `${remedy} (${said})` : said;
}
