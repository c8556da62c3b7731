/**
 * Internet addresses as bytes, and what kind each is.
 * Source: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates),
 * as of November 2026, and the cloud providers' documented metadata addresses.
 */

export type AddressKind =
  | "public"
  | "loopback"
  /** RFC 1918, unique local, carrier-grade NAT, benchmarking: reachable only where someone means it. */
  | "private"
  /** 0.0.0.0/8 and `::`, which reach this very host on Linux. */
  | "unspecified"
  | "link-local"
  | "metadata"
  | "multicast"
  /** Documentation, reserved, deprecated or translated ranges: nothing that a service lives at. */
  | "special"
  | "invalid";

/** 4 or 16 bytes; undefined for what is not an address (a zone is not part of one). */
export function parseAddress(text: string): Uint8Array | undefined {
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  return bare.includes(":") ? parseIpv6(bare) : parseIpv4(bare);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part)))
    return undefined;
  const numbers = parts.map(Number);
  return numbers.every((number) => number <= 255) ? Uint8Array.from(numbers) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const [head = "", tail, ...more] = text.split("::");
  if (more.length > 0) return undefined;
  const before = hextets(head);
  const after = tail === undefined ? [] : hextets(tail);
  if (!before || !after) return undefined;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const words = [...before, ...new Array<number>(Math.max(0, missing)).fill(0), ...after];
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 255]));
}

/** Groups of a half; the last may be a dotted IPv4 address. */
function hextets(text: string): number[] | undefined {
  if (text === "") return [];
  const words: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".") && index === parts.length - 1) {
      const v4 = parseIpv4(part);
      if (!v4) return undefined;
      words.push(word(v4, 0), word(v4, 2));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) words.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return words;
}

const word = (bytes: Uint8Array, index: number) =>
  ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0);

export interface Range {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** `10.0.0.0/8`; a bare address is a range of one. */
export function parseRange(text: string): Range | undefined {
  const [address = "", width, ...more] = text.trim().split("/");
  const bytes = parseAddress(address);
  if (!bytes || more.length > 0) return undefined;
  const bits =
    width === undefined ? bytes.length * 8 : /^\d{1,3}$/.test(width) ? Number(width) : -1;
  return bits < 0 || bits > bytes.length * 8 ? undefined : { bytes, bits };
}

export function inRange(bytes: Uint8Array, range: Range): boolean {
  if (bytes.length !== range.bytes.length) return false;
  const whole = range.bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== range.bytes[i]) return false;
  const rest = range.bits & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((bytes[whole] ?? 0) & mask) === ((range.bytes[whole] ?? 0) & mask);
}

type Row = readonly [Range, AddressKind];

function rows(table: Readonly<Record<string, AddressKind>>): readonly Row[] {
  return Object.entries(table).map(([text, kind]) => {
    const range = parseRange(text);
    if (!range) throw new RangeError(`bad range in the table: ${text}`);
    return [range, kind];
  });
}

/** First match counts, so narrow ranges stand above the wide ones that hold them. */
const ipv4Table = rows({
  "169.254.169.254": "metadata", // AWS, GCP, Azure, DigitalOcean, Oracle, OpenStack …
  "169.254.170.2": "metadata", // ECS task credentials
  "169.254.170.23": "metadata", // EKS pod identity
  "169.254.0.23": "metadata", // Tencent
  "169.254.42.42": "metadata", // Scaleway
  "100.100.100.200": "metadata", // Alibaba
  "192.0.0.192": "metadata", // Oracle classic
  "168.63.129.16": "metadata", // Azure's wire server
  "0.0.0.0/8": "unspecified",
  "10.0.0.0/8": "private",
  "100.64.0.0/10": "private",
  "127.0.0.0/8": "loopback",
  "169.254.0.0/16": "link-local",
  "172.16.0.0/12": "private",
  "192.0.0.0/24": "special",
  "192.0.2.0/24": "special",
  "192.88.99.0/24": "special",
  "192.168.0.0/16": "private",
  "198.18.0.0/15": "private",
  "198.51.100.0/24": "special",
  "203.0.113.0/24": "special",
  "224.0.0.0/4": "multicast",
  "240.0.0.0/4": "special",
});

const ipv6Table = rows({
  "fd00:ec2::254": "metadata", // AWS
  "fd00:ec2::23": "metadata", // EKS pod identity
  "fd20:ce::254": "metadata", // GCP
  "fd00:42::42": "metadata", // Scaleway
  "::/128": "unspecified",
  "::1/128": "loopback",
  "100::/64": "special",
  "100:0:0:1::/64": "special",
  "2001:1::1/128": "public",
  "2001:1::2/128": "public",
  "2001:1::3/128": "public",
  "2001:3::/32": "public",
  "2001:4:112::/48": "public",
  "2001:20::/28": "public",
  "2001:30::/28": "public",
  "2001::/23": "special",
  "2001:db8::/32": "special",
  "2002::/16": "special",
  "3fff::/20": "special",
  "2000::/3": "public",
  "fc00::/7": "private",
  "fe80::/10": "link-local",
  "fec0::/10": "private",
  "ff00::/8": "multicast",
});

/** Forms that carry an IPv4 address: where it stands, and what the form makes of a public one. */
const embeddings: readonly {
  readonly range: Range;
  readonly at: readonly number[];
  readonly inverted?: boolean;
  readonly whenPublic: AddressKind;
}[] = [
  embedding("::ffff:0:0/96", [12, 13, 14, 15], "public"), // mapped
  embedding("::ffff:0:0:0/96", [12, 13, 14, 15], "special"), // translated, RFC 2765
  embedding("64:ff9b::/96", [12, 13, 14, 15], "public"), // NAT64, RFC 6052
  embedding("64:ff9b:1::/48", [6, 7, 9, 10], "special"), // local NAT64, RFC 8215, as a /48
  embedding("64:ff9b:1::/48", [12, 13, 14, 15], "special"), // the same, cut to /96
  embedding("2002::/16", [2, 3, 4, 5], "special"), // 6to4
  embedding("2001::/32", [4, 5, 6, 7], "special"), // Teredo: its server
  embedding("2001::/32", [12, 13, 14, 15], "special", true), // Teredo: its client
  embedding("::/96", [12, 13, 14, 15], "special"), // compatible, deprecated
];

function embedding(text: string, at: readonly number[], whenPublic: AddressKind, inverted = false) {
  const range = parseRange(text);
  if (!range) throw new RangeError(`bad range in the table: ${text}`);
  return { range, at, whenPublic, inverted };
}

/** What kind of address this is; "invalid" for what is none. */
export function classifyAddress(text: string): AddressKind {
  const bytes = parseAddress(text);
  return bytes ? classifyBytes(bytes) : "invalid";
}

export function classifyBytes(bytes: Uint8Array): AddressKind {
  const table = bytes.length === 4 ? ipv4Table : ipv6Table;
  const own = table.find(([range]) => inRange(bytes, range))?.[1];
  if (bytes.length === 4) return own ?? "public";
  if (own !== undefined && own !== "special") return own;
  const carried = embeddings
    .filter(({ range }) => inRange(bytes, range))
    .map(({ at, inverted, whenPublic }) => {
      const v4 = Uint8Array.from(at, (index) => (bytes[index] ?? 0) ^ (inverted ? 0xff : 0));
      const kind = classifyBytes(v4);
      return kind === "public" ? whenPublic : kind;
    });
  // Several readings: the worst one counts. Outside 2000::/3 nothing public is assigned.
  return carried.includes("metadata") ? "metadata" : (carried[0] ?? own ?? "special");
}
