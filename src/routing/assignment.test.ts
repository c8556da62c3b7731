/** Keys and buckets, to the bit of the predecessor's: vectors computed by running it. */
import { describe, expect, test } from "bun:test";
import { pickWeighted, toBucket, toHashKey, unitCount } from "./assignment.ts";

describe("the predecessor's golden buckets, of a sum of 100", () => {
  const cases = [
    ["user:u1:model:gpt-4", 34, { user: "u1" }, "user"],
    ["tenant:t1:user:u1:model:gpt-4", 95, { tenant: "t1", user: "u1" }, "tenant_user"],
    ["request:r1:model:gpt-4", 32, {}, "request"],
  ] as const;
  test.each(cases)("%s → %d", (text, bucket, who, type) => {
    expect(toHashKey({ request: "r1", model: "gpt-4", ...who })).toEqual({ type, text });
    expect(toBucket(text, 100).bucket).toBe(bucket);
  });
});

test("a conversation stands between a user and a request", () => {
  const both = { session: "s1", request: "r1", model: "m" };
  expect(toHashKey(both)).toEqual({ type: "session", text: "session:s1:model:m" });
  expect(toHashKey({ ...both, user: "u" }).type).toBe("user");
});

test("64 bits are divided as whole numbers are, whatever the sum of weights", () => {
  for (let i = 0; i < 500; i++) {
    const key = `user:${i}:model:m`;
    const bytes = new Bun.CryptoHasher("sha256").update(key).digest();
    const whole = bytes.readBigUInt64BE(0);
    for (const buckets of [1, 2, 3, 7, 100, 9_999, 10_000, 999_983, 1_000_000]) {
      expect(toBucket(key, buckets).bucket).toBe(Number(whole % BigInt(buckets)));
    }
  }
});

test("weights are walked in their order; one of nothing is never picked", () => {
  const choices = [
    { name: "a", weight: 30 },
    { name: "none", weight: 0 },
    { name: "b", weight: 70 },
  ];
  const picked = Array.from({ length: 101 }, (_, bucket) => pickWeighted(choices, bucket)?.name);
  expect(picked.slice(0, 30)).toEqual(Array(30).fill("a"));
  expect(picked.slice(30, 100)).toEqual(Array(70).fill("b"));
  expect(picked[100]).toBeUndefined();
});

test("units are even, and say nothing of the bucket", () => {
  const seen = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    const { bucket, unit } = toBucket(`request:${i}:model:m`, 2);
    expect(unit).toBeLessThan(unitCount);
    const cell = `${bucket} ${unit % 4}`;
    seen.set(cell, (seen.get(cell) ?? 0) + 1);
  }
  expect(seen.size).toBe(8);
  for (const count of seen.values()) expect(Math.abs(count - 2_500)).toBeLessThan(200);
});
