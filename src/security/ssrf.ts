/**
 * Decides where the gateway may connect to. Pure: the caller resolves names and brings the
 * addresses. `operator` trust is for what stands in the configuration; `strict` for what came by
 * request or out of a remote document. Metadata services are refused to both.
 */
import { excerpt, GatewayError } from "../domain/errors.ts";
import {
  type AddressKind,
  classifyBytes,
  inRange,
  parseAddress,
  parseRange,
  type Range,
} from "./address.ts";

/** `operator`: the address stands in the configuration, so loopback and private ranges are meant.
 * `strict`: it came by request or out of a remote document. Metadata addresses are refused to both.
 * `instance`: Google's metadata service and nothing else, for the token of the machine's own account;
 * no part of such an address comes from a request, nor from a document. */
export type Trust = "operator" | "strict" | "instance";

export interface AllowRules {
  /** Ranges opened to strict trust. */
  readonly ranges: readonly Range[];
  /** Hosts opened to strict trust: lower case; `.example.com` stands for it and all below. */
  readonly hosts: readonly string[];
}

/** What an operator opened by name. @throws GatewayError config_invalid for a range that is none. */
export function parseAllowRules(cidrs: readonly string[], hosts: readonly string[]): AllowRules {
  const ranges = cidrs.map((cidr) => {
    const range = parseRange(cidr);
    if (range) return range;
    const message = `"${excerpt(cidr)}" is no address range; write one such as 10.1.0.0/16.`;
    throw new GatewayError("config_invalid", message);
  });
  return { ranges, hosts: hosts.map((host) => normalHost(host.replace(/^\*\./, "."))) };
}

/** The one name, and what it may lead to, that `instance` trust opens. */
export const instanceHost = "metadata.google.internal";
const instanceAddresses = ["169.254.169.254", "fd20:ce::254"].map((text) => parseAddress(text));

const metadataHosts: ReadonlySet<string> = new Set([
  "metadata",
  "computemetadata",
  "metadata.google.internal",
  "metadata.goog",
  "metadata.gke.internal",
  "metadata.azure.com",
  "metadata.azure.internal",
  "metadata.oraclecloud.com",
  "metadata.tencentyun.com",
  "metadata.packet.net",
  "metadata.platformequinix.com",
  "instance-data",
  "instance-data.ec2.internal",
  "rancher-metadata",
]);
/** Names for this host or its link, refused to strict trust before any resolver is asked. */
const localNames =
  /^(localhost|localhost\.localdomain|ip6-localhost|ip6-loopback)$|\.(localhost|local)$/;

export interface Target {
  readonly url: URL;
  /** Without brackets, trailing dot or upper case. */
  readonly host: string;
  /** Set where the host is an address itself. */
  readonly address: Uint8Array | undefined;
}

/**
 * What can be decided without a resolver: form, scheme, userinfo, name, and a literal address.
 * @throws GatewayError address_refused
 */
export function checkUrl(text: string, trust: Trust, allow: AllowRules): Target {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) throw refused(excerpt(redactUserinfo(text)), "it is not a valid URL");
  const host = normalHost(url.hostname);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw refused(host || url.protocol, `only http and https are spoken, not ${url.protocol}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw refused(host, "credentials do not belong into a URL; use a header or api_key");
  }
  if (host === "") throw refused(url.protocol, "it names no host");
  if (trust === "instance") {
    if (host === instanceHost) return { url, host, address: undefined };
    throw refused(host, "it is not Google's metadata service");
  }
  if (metadataHosts.has(host)) throw refused(host, "it is a metadata service");
  const address = parseAddress(host);
  if (address) checkAddress(address, { host, trust, allow });
  else if (trust === "strict" && localNames.test(host) && !isAllowedHost(host, allow)) {
    throw refused(host, "it is a local name");
  }
  return { url, host, address };
}

/**
 * Whether an address that a host resolved to (or is) may be connected to.
 * @throws GatewayError address_refused
 */
export function checkAddress(
  bytes: Uint8Array,
  context: { readonly host: string; readonly trust: Trust; readonly allow: AllowRules },
): void {
  const { host, trust, allow } = context;
  if (trust === "instance") {
    if (instanceAddresses.some((each) => each && Buffer.from(each).equals(bytes))) return;
    throw refused(host, "it does not lead to Google's metadata service");
  }
  const kind = classifyBytes(bytes);
  if (kind === "public") return;
  if (kind === "metadata") throw refused(host, "it is a metadata service");
  if (trust === "operator" && openToOperator.has(kind)) return;
  const opened = isAllowedHost(host, allow) || allow.ranges.some((range) => inRange(bytes, range));
  if (opened && openable.has(kind)) return;
  throw refused(host, `it leads to ${kindInWords[kind]} address`);
}

const openToOperator: ReadonlySet<AddressKind> = new Set(["loopback", "private", "unspecified"]);
const openable: ReadonlySet<AddressKind> = new Set([...openToOperator, "link-local", "special"]);

const kindInWords: Readonly<Record<AddressKind, string>> = {
  public: "a public",
  loopback: "a loopback",
  private: "a private",
  unspecified: "an unspecified",
  "link-local": "a link-local",
  metadata: "a metadata",
  multicast: "a multicast",
  special: "a reserved",
  invalid: "an invalid",
};

function isAllowedHost(host: string, { hosts }: AllowRules): boolean {
  return hosts.some((allowed) =>
    allowed.startsWith(".")
      ? host.endsWith(allowed) || host === allowed.slice(1)
      : host === allowed,
  );
}

/** Lower case, no brackets, no trailing dot. */
export function normalHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
}

const redactUserinfo = (text: string) => text.replace(/\/\/[^/@]*@/, "//…@");

function refused(host: string, why: string): GatewayError {
  return new GatewayError("address_refused", `The address ${excerpt(host)} is refused: ${why}.`);
}
