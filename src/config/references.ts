/** Replaces `os.environ/NAME` and secret files by what they refer to; what is missing is told. */
import { isObject, type Json } from "../domain/json.ts";
import { readOidcToken } from "../security/oidc.ts";
import { isSecretName } from "../security/redact.ts";
import { parseReference } from "../security/secrets.ts";
import type { Environment, ReadText } from "./files.ts";
import type { Report } from "./report.ts";
import type { ReadSecret } from "./secret-store.ts";
import type { Spot } from "./yaml.ts";

/** An identity token by its reference, where the network may be asked. */
export type ReadOidc = (reference: string, env: Environment) => Promise<string>;

export interface ResolveOptions {
  /** `key_management_system`; above the environment, which stands in where it fails. */
  readonly readSecret?: ReadSecret | undefined;
  readonly readOidc?: ReadOidc | undefined;
  readonly env: Environment;
  readonly readText: ReadText;
  readonly report: Report;
}

/** LiteLLM's own limit; deeper, references stay as they are. */
const depthLimit = 100;

/** A copy with references replaced. A reference to nothing becomes undefined, so its key is as if absent. */
export async function resolveReferences(
  value: Json,
  spot: Spot,
  options: ResolveOptions,
): Promise<Json | undefined> {
  if (spot.path.length > depthLimit) return value;
  if (typeof value === "string") return resolveText(value, spot, options);
  const at = (step: string | number): Spot => ({ ...spot, path: [...spot.path, step] });
  if (Array.isArray(value)) {
    const items = value.map((item: Json, index) => resolveReferences(item, at(index), options));
    return (await Promise.all(items)).filter((item) => item !== undefined);
  }
  if (!isObject(value)) return value;
  const resolved: Record<string, Json> = {};
  for (const [key, inner] of Object.entries(value)) {
    const next = await resolveReferences((inner ?? null) as Json, at(key), options);
    if (next !== undefined) resolved[key] = next;
  }
  return resolved;
}

async function resolveText(text: string, spot: Spot, options: ResolveOptions) {
  const reference = parseReference(text);
  if (!reference) return text;
  const name = String(spot.path.at(-1) ?? "");
  if (reference.kind === "environment") {
    const kept = options.readSecret && (await readKept(reference.name, spot, options));
    if (kept) return kept;
    const found = options.env[reference.name];
    if (found !== undefined && found !== "") return found;
    tellMissing(spot, `the environment variable ${reference.name} is not set`, options.report, {
      remedy: `Set ${reference.name}, or write another reference.`,
      fatal: name === "master_key",
    });
    return undefined;
  }
  if (reference.kind === "oidc") {
    return shortLived.has(name) ? text : readIdentity(reference.reference, spot, options);
  }
  // Elsewhere a file URL is a place, not a secret: `model_path: file:///models`.
  if (!isSecretName(name)) return text;
  return readSecretFile(reference.path, spot, options);
}

/** What the secret store keeps. One that fails is told, and the environment is asked, as in LiteLLM. */
async function readKept(name: string, spot: Spot, { readSecret, report }: ResolveOptions) {
  try {
    return await readSecret?.(name);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    report.warn(spot, why, `The environment variable ${name} counts meanwhile.`);
    return undefined;
  }
}

/** Such a token soon ends: whoever needs it resolves it anew each time. */
const shortLived: ReadonlySet<string> = new Set(["azure_ad_token", "aws_web_identity_token"]);

async function readIdentity(reference: string, spot: Spot, options: ResolveOptions) {
  const { env, readText, report, readOidc } = options;
  try {
    return await (readOidc?.(reference, env) ?? readOidcToken(reference, { env, readText }));
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const fatal = spot.path.at(-1) === "master_key";
    tellMissing(spot, why, report, { remedy: "See https://docs.litellm.ai/docs/oidc.", fatal });
    return undefined;
  }
}

async function readSecretFile(path: string, spot: Spot, { readText, report }: ResolveOptions) {
  const fatal = spot.path.at(-1) === "master_key";
  try {
    const text = await readText(path);
    if (text !== undefined && text.trim() !== "") return text.trim();
    const why = text === undefined ? "does not exist" : "is empty";
    tellMissing(spot, `the file ${path} ${why}`, report, {
      remedy: "Write the secret into it.",
      fatal,
    });
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    tellMissing(spot, why, report, { remedy: "Let this user read the file.", fatal });
  }
  return undefined;
}

/** A missing master key is fatal: the operator meant to lock the door. */
function tellMissing(
  spot: Spot,
  message: string,
  report: Report,
  how: { remedy: string; fatal: boolean },
) {
  if (how.fatal) report.refuse(spot, message, how.remedy);
  else report.warn(spot, message, how.remedy);
}
