/** Finding and reading the operator's files. The reader is an argument, so that tests need no disk. */
import { isAbsolute, join } from "node:path";
import { GatewayError } from "../domain/errors.ts";
import { isRemote } from "./remote.ts";
import { configLimitBytes } from "./yaml.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The text of a file, undefined where there is none. @throws GatewayError config_invalid otherwise. */
export type ReadText = (path: string) => Promise<string | undefined>;

export const readTextFile: ReadText = async (path) => {
  const file = Bun.file(path);
  try {
    if (file.size > configLimitBytes && Number.isFinite(file.size)) {
      throw new GatewayError("config_invalid", `${path} is larger than ${configLimitBytes} bytes.`);
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.bytes());
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    const { code } = thrown as { code?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    const why =
      thrown instanceof TypeError
        ? "it is not UTF-8 text"
        : code === "EISDIR"
          ? "it is a folder"
          : code;
    throw new GatewayError(
      "config_invalid",
      `${path} cannot be read: ${why ?? "unknown reason"}.`,
      {
        cause: thrown,
      },
    );
  }
};

export interface ConfigPlace {
  readonly path: string;
  /** Who named it: `--config`, an environment variable, or nobody (looked for on our own). */
  readonly namedBy?: string;
}

/** Where a configuration may be, first come first served; a named one must exist. */
export function configPlaces(
  flag: string | undefined,
  cwd: string,
  env: Environment,
): ConfigPlace[] {
  const named: readonly (readonly [string, string | undefined])[] = [
    ["--config", flag],
    ["ROUTEIQ_CONFIG", env["ROUTEIQ_CONFIG"]],
    ["LITELLM_CONFIG_PATH", env["LITELLM_CONFIG_PATH"]],
  ];
  const bucket = bucketOf(env);
  if (bucket) return [bucket];
  const absolute = (path: string) => (isAbsolute(path) || isRemote(path) ? path : join(cwd, path));
  for (const [namedBy, path] of named) if (path) return [{ path: absolute(path), namedBy }];
  return [{ path: join(cwd, "config.yaml") }, { path: "/app/config/config.yaml" }];
}

/**
 * LiteLLM's bucket, else the predecessor's. Both stand above every other place, `--config` included,
 * as they do there: images name a file on their command line.
 */
function bucketOf(env: Environment): ConfigPlace | undefined {
  const google = env["LITELLM_CONFIG_BUCKET_TYPE"]?.toLowerCase() === "gcs";
  const named: readonly (readonly [string, string, string])[] = [
    ["LITELLM_CONFIG_BUCKET_NAME", "LITELLM_CONFIG_BUCKET_OBJECT_KEY", google ? "gs" : "s3"],
    ["CONFIG_S3_BUCKET", "CONFIG_S3_KEY", "s3"],
    ["CONFIG_GCS_BUCKET", "CONFIG_GCS_KEY", "gs"],
  ];
  for (const [namedBy, keyName, scheme] of named) {
    const bucket = env[namedBy];
    const key = env[keyName];
    if (bucket && key) return { path: `${scheme}://${bucket}/${key}`, namedBy };
  }
  return undefined;
}
