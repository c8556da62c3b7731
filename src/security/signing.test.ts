/** Ed25519: known vectors, strict verification, and keys that must be refused. */
import { describe, expect, test } from "bun:test";
import { createSigningKey, isSoundPublicKey, sign, verifySignature } from "./signing.ts";

const text = (value: string) => new TextEncoder().encode(value);
const seed = Uint8Array.from({ length: 32 }, (_, i) => i);

test("the key of a seed, and RFC 8032 test 2", () => {
  expect(Buffer.from(createSigningKey(seed).public, "hex").toString("base64")).toBe(
    "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
  );
  const key = createSigningKey(
    Buffer.from("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "hex"),
  );
  expect(key.public).toBe("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  expect(sign(key.seed, Uint8Array.of(0x72))).toBe(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
});

test("fresh keys differ and sign for themselves", () => {
  const [a, b] = [createSigningKey(), createSigningKey()];
  expect(a.seed).not.toBe(b.seed);
  const signature = sign(a.seed, text("hello"));
  expect(verifySignature(a.public, signature, text("hello"))).toBe(true);
  expect(verifySignature(b.public, signature, text("hello"))).toBe(false);
  expect(verifySignature(a.public, signature, text("hellp"))).toBe(false);
});

test("a signature has one valid form", () => {
  const key = createSigningKey(seed);
  const signature = sign(key.seed, text("x"));
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = [...Buffer.from(signature.slice(64), "hex")].reduceRight(
    (sum, byte) => (sum << 8n) | BigInt(byte),
    0n,
  );
  const shifted = Buffer.alloc(32);
  for (let i = 0, rest = s + order; i < 32; i++, rest >>= 8n) shifted[i] = Number(rest & 255n);
  expect(verifySignature(key.public, signature, text("x"))).toBe(true);
  for (const bad of [
    signature.slice(0, 64) + shifted.toString("hex"), // S + L
    signature.toUpperCase(),
    signature.slice(2),
    `${signature}00`,
    "",
  ]) {
    expect(verifySignature(key.public, bad, text("x"))).toBe(false);
  }
});

describe("public keys that are refused", () => {
  const le = (y: bigint, signBit = 0n) => {
    const bytes = Buffer.alloc(32);
    for (let i = 0, rest = y | (signBit << 255n); i < 32; i++, rest >>= 8n)
      bytes[i] = Number(rest & 255n);
    return bytes.toString("hex");
  };
  const p = 2n ** 255n - 19n;
  const cases = [
    ["neutral element", le(1n)],
    ["order 2", le(p - 1n)],
    ["order 4", le(0n)],
    ["order 4, other sign", le(0n, 1n)],
    ["order 8 a", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"],
    ["order 8 b", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"],
    ["order 8 c", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"],
    ["order 8 d", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"],
    ["neutral element, second encoding", le(p + 1n)],
    ["zero, second encoding", le(p)],
    ["negative zero", le(1n, 1n)],
    ["not on the curve", le(2n)],
    ["upper case", createSigningKey(seed).public.toUpperCase()],
    ["short", "00"],
  ] as const;
  test.each(cases)("%s", (_name, key) => expect(isSoundPublicKey(key)).toBe(false));
  test("and sound ones pass", () => {
    for (let i = 0; i < 20; i++) expect(isSoundPublicKey(createSigningKey().public)).toBe(true);
  });
});
