/**
 * Requests signed for AWS by Signature Version 4, with keys from wherever the operator keeps them:
 * the row, a profile, an assumed role, a web identity, or the default chain. The signature and the
 * chain are the AWS libraries'; a role is assumed through our own guarded way out.
 * Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html,
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html; LiteLLM's parameters.
 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { AwsGrant, AwsKeys } from "../../domain/model.ts";
import { headerLine } from "../../security/destination.ts";
import { isOidcReference } from "../../security/oidc.ts";
import type { Outbound, OutboundReply, SendRequest } from "../../security/outbound.ts";
import { createTransport } from "../../storage/s3/transport.ts";
import { readIdentityToken } from "./identity-token.ts";
import { readAnswer, type TokenSourceOptions, unless } from "./token-request.ts";

export interface Signable {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export interface AwsSigner {
  /**
   * The request's headers, signature and all.
   * @throws GatewayError upstream_auth where no keys are to be had; the signal's reason when it aborts.
   */
  sign(
    grant: AwsGrant,
    request: Signable,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, string>>>;
  /** The service refused the keys: the next request gets others, where they are not the row's own. */
  forget(grant: AwsGrant): void;
}

interface Held {
  readonly keys: AwsKeys;
  /** Missing: they do not end. */
  readonly endsAtMs?: number;
}

interface Entry {
  held?: Held;
  pending?: Promise<Held>;
}

type Sdk = typeof import("./aws-sdk.ts");

/** Keys are renewed so long before their end, and not used in their last seconds. */
const renewBeforeMs = 300_000;
const spareMs = 30_000;
/** Of getting keys; no request waits longer for it. */
const limitMs = 15_000;
const roleSeconds = 3600;

export function createAwsSigner(options: TokenSourceOptions): AwsSigner {
  const { clock } = options;
  const entries = new WeakMap<AwsGrant, Entry>(); // gone with the configuration that names them
  let loading: Promise<Sdk> | undefined;
  const load = () => {
    loading ??= import("./aws-sdk.ts"); // megabytes that only their users pay for
    return loading;
  };

  function renew(grant: AwsGrant, entry: Entry): Promise<Held> {
    entry.pending ??= fetchKeys(grant, options, load)
      .then((held) => {
        entry.held = held;
        return held;
      })
      .finally(() => {
        delete entry.pending;
      });
    return entry.pending;
  }

  async function keysFor(grant: AwsGrant, signal: AbortSignal | undefined): Promise<AwsKeys> {
    if (grant.keys && !grant.role) return grant.keys;
    const entry = entries.getOrInsertComputed(grant, () => ({}));
    const { held } = entry;
    const leftMs = held?.endsAtMs === undefined ? Infinity : held.endsAtMs - clock.now();
    if (held && leftMs > spareMs) {
      // The old ones serve meanwhile; a failure is the next request's, once they have ended.
      if (leftMs < renewBeforeMs) renew(grant, entry).catch(() => undefined);
      return held.keys;
    }
    const fresh = renew(grant, entry);
    return (await (signal ? unless(signal, fresh) : fresh)).keys;
  }

  return {
    async sign(grant, request, signal) {
      const keys = await keysFor(grant, signal);
      return signWith(keys, grant, request, await load(), clock.now());
    },
    forget(grant) {
      entries.delete(grant);
    },
  };
}

/** The guarded way out, with every request signed. */
export function createSignedWay(outbound: Outbound, aws: AwsSigner, grant: AwsGrant): Outbound {
  const { send } = outbound;
  const isAtHand = grant.keys !== undefined && grant.role === undefined;
  const see = (status: number, refusal: string | null | undefined) => {
    if (status === 403 && staleKeys.test(refusal ?? "")) aws.forget(grant);
  };

  async function sendSigned(request: SendRequest): Promise<OutboundReply> {
    const { to, body, cancel, lines } = request;
    const { url, method } = to;
    // What the signature holds is what AWS insists on: the rest may differ on the way.
    const held = Object.entries(to.headers).filter(([name]) => /^(host|content-type)$/i.test(name));
    const signable = { url, method, headers: Object.fromEntries(held), body };
    const signed = await aws.sign(grant, signable, isAtHand ? undefined : cancel.signal);
    cancel.throwIfCancelled();
    let more = lines;
    for (const name of signedFields) {
      const value = signed[name];
      if (value !== undefined) more += headerLine(name, value);
    }
    const reply = await (send as NonNullable<typeof send>)({ ...request, lines: more });
    see(reply.status, reply.header("x-amzn-errortype"));
    return reply;
  }

  return {
    fetch: async (request) => {
      const { body, signal } = request;
      if (body instanceof ReadableStream) {
        const message = "A body that is sent as it comes cannot be signed for AWS. Send it whole.";
        throw new GatewayError("unsupported_capability", message);
      }
      const signable = { ...request, ...(body === undefined ? {} : { body }) };
      const headers = await aws.sign(grant, signable as Signable, signal);
      const response = await outbound.fetch({ ...request, headers });
      see(response.status, response.headers.get("x-amzn-errortype"));
      return response;
    },
    ...(send ? { send: sendSigned } : {}),
  };
}

const signedFields = ["authorization", "x-amz-date", "x-amz-security-token"];
const staleKeys = /^(ExpiredToken|UnrecognizedClient|InvalidSignature|InvalidClientTokenId)/;

async function signWith(
  keys: AwsKeys,
  { region, service }: Pick<AwsGrant, "region" | "service">,
  { url, method, headers, body }: Signable,
  { SignatureV4, Sha256 }: Sdk,
  nowMs: number,
): Promise<Readonly<Record<string, string>>> {
  const { protocol, hostname, host, pathname, searchParams } = new URL(url);
  const signer = new SignatureV4({
    credentials: keys,
    region,
    service,
    sha256: Sha256,
    applyChecksum: false, // S3 alone wants the digest of the body in a header
  });
  const signed = await signer.sign(
    {
      protocol,
      hostname,
      method,
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: { host, ...headers },
      ...(body === undefined ? {} : { body }),
    },
    { signingDate: new Date(nowMs) },
  );
  const { host: _, ...rest } = signed.headers; // the way out writes it
  return rest;
}

async function fetchKeys(
  grant: AwsGrant,
  options: TokenSourceOptions,
  load: () => Promise<Sdk>,
): Promise<Held> {
  const { role, webIdentityToken } = grant;
  if (webIdentityToken !== undefined && role) {
    const token = await readIdentity(webIdentityToken, options);
    return assume(grant, { Action: "AssumeRoleWithWebIdentity", WebIdentityToken: token }, options);
  }
  const own = grant.keys ? { keys: grant.keys } : await fromChain(grant, options);
  if (!role) return own;
  const sign = async (request: Signable) =>
    signWith(
      own.keys,
      { region: grant.region, service: "sts" },
      request,
      await load(),
      options.clock.now(),
    );
  return assume(grant, { Action: "AssumeRole" }, options, sign);
}

/** The library would write to the console by itself; what fails is told by whoever asked. */
const nothing = () => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Profile, environment, container, instance: in the AWS libraries' order. */
async function fromChain(
  { profile, region }: AwsGrant,
  { outbound, clock }: TokenSourceOptions,
): Promise<Held> {
  const { defaultProvider } = await import("./aws-chain.ts");
  const clientConfig = { region, requestHandler: createTransport(outbound, clock) as never };
  try {
    const named = profile ? { profile } : {};
    const provide = defaultProvider({ clientConfig, logger: silent, ...named });
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await provide();
    return {
      keys: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) },
      ...(expiration ? { endsAtMs: expiration.getTime() } : {}),
    };
  } catch (cause) {
    const where = profile === undefined ? "" : ` in the profile "${profile.slice(0, 60)}"`;
    const why = cause instanceof Error ? cause.message.slice(0, 200) : "no reason given";
    throw refused(
      `no AWS credentials were found${where}: ${why} Set aws_access_key_id and aws_secret_access_key, aws_profile_name, or AWS_BEARER_TOKEN_BEDROCK.`,
      cause,
    );
  }
}

/** @param sign missing: the web identity speaks for itself */
async function assume(
  { role, region, stsEndpoint }: AwsGrant,
  action: Readonly<Record<string, string>>,
  { outbound }: TokenSourceOptions,
  sign?: (request: Signable) => Promise<Readonly<Record<string, string>>>,
): Promise<Held> {
  const form = new URLSearchParams({
    ...action,
    Version: "2011-06-15",
    RoleArn: role?.arn ?? "",
    RoleSessionName: role?.sessionName ?? "",
    DurationSeconds: String(roleSeconds),
    ...(role?.externalId === undefined ? {} : { ExternalId: role.externalId }),
  });
  const url = stsEndpoint ?? `https://sts.${region}.${domainOf(region)}/`;
  const plain = {
    "content-type": "application/x-www-form-urlencoded",
    accept: "application/json",
  };
  const request = { url, method: "POST", headers: plain, body: form.toString() };
  const headers = sign ? await sign(request) : plain;
  const response = await outbound
    .fetch({ ...request, headers, signal: AbortSignal.timeout(limitMs), trust: "operator" })
    .catch((cause: unknown) => {
      const why = cause instanceof GatewayError ? cause.message : "no answer in time";
      throw refused(`AWS STS could not be reached: ${why}`, cause);
    });
  const body = await readAnswer(response);
  const held = response.ok ? readAssumed(body, action["Action"] ?? "") : undefined;
  if (held) return held;
  const error = isObject(body["Error"]) ? body["Error"] : body;
  const why = String(error["Message"] ?? error["message"] ?? "no reason given").slice(0, 300);
  throw refused(`AWS STS answered ${response.status} to ${action["Action"]}: ${why}`);
}

function readAssumed(body: JsonObject, action: string): Held | undefined {
  const outer = body[`${action}Response`];
  const result = isObject(outer) ? outer[`${action}Result`] : undefined;
  const found = isObject(result) ? result["Credentials"] : undefined;
  if (!isObject(found)) return undefined;
  const { AccessKeyId: id, SecretAccessKey: secret, SessionToken: token, Expiration: end } = found;
  if (typeof id !== "string" || typeof secret !== "string") return undefined;
  // Seconds in STS's JSON, a date elsewhere.
  const endsAtMs = typeof end === "number" ? end * 1000 : Date.parse(String(end));
  return {
    keys: {
      accessKeyId: id,
      secretAccessKey: secret,
      ...(typeof token === "string" ? { sessionToken: token } : {}),
    },
    ...(Number.isFinite(endsAtMs) ? { endsAtMs } : {}),
  };
}

/** LiteLLM's forms of a web identity: the token itself, its file, or a place that is named. */
async function readIdentity(written: string, options: TokenSourceOptions): Promise<string> {
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(written)) return written;
  if (isOidcReference(written)) return readIdentityToken(written, options);
  try {
    return (await options.readText(written)).trim();
  } catch (cause) {
    throw refused(
      "the file of aws_web_identity_token cannot be read. Write the token, the path of its file, oidc/file/PATH or oidc/env/NAME.",
      cause,
    );
  }
}

/** AWS's partitions beside the main one. */
export function domainOf(region: string): string {
  return region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
}

/** No keys: the operator's credentials are at fault, not the caller. */
function refused(why: string, cause?: unknown): GatewayError {
  const options = cause === undefined ? {} : { cause };
  return new GatewayError("upstream_auth", `The gateway cannot sign for AWS: ${why}`, options);
}
