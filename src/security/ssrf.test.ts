/** Verdicts on addresses: the predecessor's table, its holes, and the forms that hide an address. */
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../domain/errors.ts";
import { type AddressKind, classifyAddress, parseAddress } from "./address.ts";
import type { Trust } from "./outbound.ts";
import { checkAddress, checkUrl, parseAllowRules } from "./ssrf.ts";

describe("kinds of addresses", () => {
  const kinds: Readonly<Partial<Record<AddressKind, readonly string[]>>> = {
    public: [
      "8.8.8.8",
      "1.1.1.1",
      "172.32.0.1",
      "172.15.255.255",
      "100.63.255.255",
      "100.128.0.1",
      "2606:4700::1111",
      "::ffff:8.8.8.8",
      "64:ff9b::808:808",
      "2001:4860:4860::8888",
      "2620:4f:8000::1",
    ],
    loopback: [
      "127.0.0.1",
      "127.255.255.254",
      "::1",
      "::ffff:127.0.0.1",
      "64:ff9b::7f00:1",
      "2002:7f00:1::",
      "::127.0.0.1",
    ],
    private: [
      "10.0.0.1",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.1.1",
      "100.64.0.1",
      "198.18.0.1",
      "fd12::1",
      "fec0::1",
      "::ffff:10.0.0.1",
      "64:ff9b:1:a00:0:100::",
      "::ffff:0:192.168.0.1",
    ],
    unspecified: ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"],
    "link-local": ["169.254.1.1", "fe80::1", "::ffff:169.254.1.1"],
    metadata: [
      "169.254.169.254",
      "::ffff:169.254.169.254",
      "::ffff:a9fe:a9fe",
      "::169.254.169.254",
      "64:ff9b::a9fe:a9fe",
      "64:ff9b:1::a9fe:a9fe",
      "64:ff9b:1:a9fe:a9:fe00::",
      "2002:a9fe:a9fe::1",
      "2001:0:a9fe:a9fe::1",
      "2001:0:808:808:0:0:5601:5601",
      "fd00:ec2::254",
      "fd20:ce::254",
      "100.100.100.200",
      "192.0.0.192",
      "168.63.129.16",
      "169.254.170.2",
    ],
    multicast: ["224.0.0.1", "239.255.255.255", "ff02::1"],
    special: [
      "192.0.2.1",
      "198.51.100.7",
      "203.0.113.1",
      "240.0.0.1",
      "255.255.255.255",
      "192.88.99.1",
      "2001:db8::1",
      "3fff::1",
      "100::1",
      "5f00::1",
      "4000::1",
      "2002:808:808::1",
      "::8.8.8.8",
      "2001:2::1",
    ],
    invalid: [
      "",
      "1.2.3",
      "1.2.3.256",
      "01.2.3.4",
      "1.2.3.4.5",
      "::1%eth0",
      ":::",
      "1::2::3",
      "12345::",
      "g::1",
      "example.com",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "::1.2.3",
    ],
  };
  for (const [kind, addresses] of Object.entries(kinds)) {
    test.each([...addresses])(`${kind}: %s`, (address) => {
      expect(classifyAddress(address)).toBe(kind as AddressKind);
    });
  }
});

function check(url: string, trust: Trust, allow = parseAllowRules([], [])): string {
  try {
    checkUrl(url, trust, allow);
    return "allowed";
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.code !== "address_refused") throw thrown;
    return thrown.message.replace(/^The address (.*) is refused: /, "$1: ");
  }
}

describe("URLs without a resolver", () => {
  /** URL, verdict under strict trust, verdict under operator trust (same when left out). */
  const cases: readonly (readonly [string, string, string?])[] = [
    ["https://api.openai.com/v1", "allowed"],
    ["http://8.8.8.8/", "allowed"],
    ["http://172.32.0.1", "allowed"],
    ["http://127.0.0.1:8080", "127.0.0.1: it leads to a loopback address.", "allowed"],
    ["http://localhost:11434", "localhost: it is a local name.", "allowed"],
    ["http://LOCALHOST.", "localhost: it is a local name.", "allowed"],
    ["http://foo.localhost", "foo.localhost: it is a local name.", "allowed"],
    ["http://printer.local", "printer.local: it is a local name.", "allowed"],
    ["http://[::1]/", "::1: it leads to a loopback address.", "allowed"],
    ["http://0.0.0.0/", "0.0.0.0: it leads to an unspecified address.", "allowed"],
    ["http://10.0.0.5/", "10.0.0.5: it leads to a private address.", "allowed"],
    ["http://[fd12::1]/", "fd12::1: it leads to a private address.", "allowed"],
    ["http://100.64.0.1/", "100.64.0.1: it leads to a private address.", "allowed"],
    // Numeric forms: one WHATWG parse makes them what they are.
    ["http://127.1/", "127.0.0.1: it leads to a loopback address.", "allowed"],
    ["http://2130706433/", "127.0.0.1: it leads to a loopback address.", "allowed"],
    ["http://0x7f000001/", "127.0.0.1: it leads to a loopback address.", "allowed"],
    ["http://0177.0.0.1/", "127.0.0.1: it leads to a loopback address.", "allowed"],
    ["http://①②⑦.⓪.⓪.①/", "127.0.0.1: it leads to a loopback address.", "allowed"],
    ["http://0xa9fea9fe/", "169.254.169.254: it is a metadata service."],
    ["http://169.254.169.254/latest", "169.254.169.254: it is a metadata service."],
    ["http://[::ffff:169.254.169.254]/", "::ffff:a9fe:a9fe: it is a metadata service."],
    ["http://[fd00:ec2::254]/", "fd00:ec2::254: it is a metadata service."],
    ["http://100.100.100.200/", "100.100.100.200: it is a metadata service."],
    ["http://192.0.0.192/", "192.0.0.192: it is a metadata service."],
    ["http://metadata/", "metadata: it is a metadata service."],
    ["http://metadata.google.internal./", "metadata.google.internal: it is a metadata service."],
    ["http://computeMetadata/", "computemetadata: it is a metadata service."],
    ["http://instance-data/", "instance-data: it is a metadata service."],
    ["http://[64:ff9b::7f00:1]/", "64:ff9b::7f00:1: it leads to a loopback address.", "allowed"],
    ["http://[2002:7f00:1::]/", "2002:7f00:1::: it leads to a loopback address.", "allowed"],
    ["http://224.0.0.1/", "224.0.0.1: it leads to a multicast address."],
    ["http://[ff02::1]/", "ff02::1: it leads to a multicast address."],
    ["http://[fe80::1]/", "fe80::1: it leads to a link-local address."],
    ["http://192.0.2.1/", "192.0.2.1: it leads to a reserved address."],
    [
      "https://user:pass@api.example.com/",
      "api.example.com: credentials do not belong into a URL; use a header or api_key.",
    ],
    [
      "http://evil.com@127.0.0.1/",
      "127.0.0.1: credentials do not belong into a URL; use a header or api_key.",
    ],
    ["ftp://example.com/", "example.com: only http and https are spoken, not ftp:."],
    ["file:///etc/passwd", "file:: only http and https are spoken, not file:."],
    ["gopher://127.0.0.1:70/", "127.0.0.1: only http and https are spoken, not gopher:."],
    ["http://", "http://: it is not a valid URL."],
    ["", ": it is not a valid URL."],
    ["http://u:secret@[::1", "http://…@[::1: it is not a valid URL."],
    ["//example.com", "//example.com: it is not a valid URL."],
  ];
  test.each(cases)("%s", (url, strict, operator = strict) => {
    expect(check(url, "strict")).toBe(strict);
    expect(check(url, "operator")).toBe(operator);
  });
});

describe("what an operator opens by name", () => {
  const allow = parseAllowRules(
    ["10.1.0.0/16", "fd12::/16", "169.254.0.0/16", "0.0.0.0/0"],
    ["Internal.example", "*.corp.local"],
  );
  test.each([
    ["http://10.1.2.3/", "allowed"],
    ["http://[fd12:3::1]/", "allowed"],
    ["http://printer.corp.local/", "allowed"],
    ["http://corp.local/", "allowed"],
    ["http://notcorp.local/", "notcorp.local: it is a local name."],
    ["http://169.254.169.254/", "169.254.169.254: it is a metadata service."],
    ["http://224.0.0.1/", "224.0.0.1: it leads to a multicast address."],
    ["http://metadata.google.internal/", "metadata.google.internal: it is a metadata service."],
  ])("%s", (url, verdict) => {
    expect(check(url, "strict", allow)).toBe(verdict);
  });

  test("a range that is none is refused", () => {
    expect(() => parseAllowRules(["10.0.0.0/40"], [])).toThrow("is no address range");
    expect(() => parseAllowRules(["ten"], [])).toThrow("is no address range");
  });
});

describe("instance trust", () => {
  const allow = parseAllowRules(["0.0.0.0/0"], [".internal"]);
  const url = "http://metadata.google.internal/computeMetadata/v1/";
  const decide = (text: string, address: string) => {
    const { host } = checkUrl(text, "instance", allow);
    const bytes = parseAddress(address);
    if (!bytes) throw new Error("no address");
    checkAddress(bytes, { host, trust: "instance", allow });
  };
  test.each(["169.254.169.254", "fd20:ce::254"])(
    "opens Google's metadata service at %s",
    (address) => {
      expect(() => decide(url, address)).not.toThrow();
    },
  );
  const refusals = [
    [url, "127.0.0.1"], // a name that was bound anew
    [url, "8.8.8.8"],
    [url, "169.254.170.2"],
    [url, "fd00:ec2::254"],
    ["http://169.254.169.254/", "169.254.169.254"], // by its name alone
    ["http://metadata/", "169.254.169.254"],
    ["http://api.openai.com/", "169.254.169.254"],
    ["http://user@metadata.google.internal/", "169.254.169.254"],
    ["file://metadata.google.internal/", "169.254.169.254"],
  ] as const;
  test.each(refusals)("and nothing else: %s at %s", (text, address) => {
    expect(() => decide(text, address)).toThrow("is refused");
  });
});
