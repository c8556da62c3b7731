/** An address as operators write it (`s3://bucket/prefix`, `file:///…`, a path) to its object store. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { GatewayError } from "../../domain/errors.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import { createFileObjectStore } from "../../storage/file/object-store.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { S3Credentials } from "../../storage/s3/client.ts";
import { createS3ObjectStore } from "../../storage/s3/object-store.ts";

export interface StoreAccess {
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly s3: S3Settings;
}

/** What an S3 service is addressed by. Never logged: it may hold credentials. */
export interface S3Settings {
  /** Where the environment names them; otherwise the SDK's chain goes on (profile, role …). */
  readonly credentials?: S3Credentials;
  readonly endpoint?: string;
  readonly region?: string;
  readonly allowHttp?: boolean;
}

/**
 * Reads AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, ROUTEIQ_ALLOW_HTTP_STORE and the keys. An
 * explicit environment, since a thread has that of the process's start, and configuration may add.
 */
export function toS3Settings(env: Readonly<Record<string, string | undefined>>): S3Settings {
  const endpoint = env["AWS_ENDPOINT_URL_S3"] || env["AWS_ENDPOINT_URL"];
  const region = env["AWS_REGION"] || env["AWS_DEFAULT_REGION"];
  const accessKeyId = env["AWS_ACCESS_KEY_ID"];
  const secretAccessKey = env["AWS_SECRET_ACCESS_KEY"];
  const sessionToken = env["AWS_SESSION_TOKEN"];
  const token = sessionToken ? { sessionToken } : {};
  return {
    ...(accessKeyId && secretAccessKey
      ? { credentials: { accessKeyId, secretAccessKey, ...token } }
      : {}),
    ...(endpoint ? { endpoint } : {}),
    ...(region ? { region } : {}),
    allowHttp: /^(1|true|yes|on)$/i.test(env["ROUTEIQ_ALLOW_HTTP_STORE"] ?? ""),
  };
}

/** @throws GatewayError config_invalid for an address of another kind */
export function openRepository(address: string, access: StoreAccess): ObjectStore {
  if (address.startsWith("s3://")) {
    const { outbound, clock, s3 } = access;
    return createS3ObjectStore({ url: address, outbound, clock, ...s3 });
  }
  return createFileObjectStore(toFolder(address));
}

/** The folder that an address means. @throws GatewayError config_invalid */
export function toFolder(address: string): string {
  if (address.startsWith("file:")) {
    try {
      return fileURLToPath(address);
    } catch (error) {
      throw new GatewayError("config_invalid", `"${address}" is no file address`, { cause: error });
    }
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(address)) {
    throw new GatewayError(
      "config_invalid",
      `"${address}": a repository is a folder, file:///… or s3://bucket/prefix`,
    );
  }
  return resolve(address);
}
