/** Bounds against known values, and the chance that they ever miss while one looks at every call. */
import { describe, expect, test } from "bun:test";
import { createRandom, nextNormal } from "../../std/random.ts";
import { logExcessEvidence, logGamma, lowerShare, meanRadius, upperShare } from "./sequential.ts";

test("log Γ", () => {
  for (const [x, value] of [
    [0.5, Math.log(Math.sqrt(Math.PI))],
    [1, 0],
    [5, Math.log(24)],
    [0.1, 2.252_712_651_734_206],
    [1000, 5905.220_423_209_181],
  ] as const) {
    expect(logGamma(x)).toBeCloseTo(value, 9);
  }
});

describe("a share's bounds", () => {
  const cases = [
    [0, 10],
    [3, 10],
    [10, 10],
    [20, 1000],
    [0.5, 7], // a mean of values in [0, 1] as well
  ] as const;
  test.each(cases)("%d of %d: below and above what was seen, and mirrored", (sum, n) => {
    const [lower, upper] = [lowerShare(sum, n, 0.05), upperShare(sum, n, 0.05)];
    expect(lower).toBeGreaterThanOrEqual(0);
    expect(lower).toBeLessThanOrEqual(sum / n);
    expect(upper).toBeGreaterThanOrEqual(sum / n);
    expect(upperShare(n - sum, n, 0.05)).toBeCloseTo(1 - lower, 12);
    // More calls of the same share, or less certainty asked: narrower.
    expect(lowerShare(sum * 10, n * 10, 0.05)).toBeGreaterThanOrEqual(lower);
    expect(lowerShare(sum, n, 0.2)).toBeGreaterThanOrEqual(lower);
  });

  test.each([0.01, 0.1, 0.5])("miss a true share of %d at any of 2,000 looks: under 5 %%", (p) => {
    let missed = 0;
    const lives = 200;
    for (let seed = 0; seed < lives; seed++) {
      const random = createRandom(seed);
      let sum = 0;
      for (let n = 1; n <= 2_000; n++) {
        if (random.next() < p) sum++;
        if (n % 7 === 0 && (lowerShare(sum, n, 0.05) > p || upperShare(sum, n, 0.05) < p)) {
          missed++;
          break;
        }
      }
    }
    expect(missed / lives).toBeLessThanOrEqual(0.1); // two bounds, at 5 % each
  });
});

test("evidence of a difference that is not there: ≥ 20 at any look in under 5 % of lives", () => {
  let fooled = 0;
  const lives = 400;
  for (let seed = 0; seed < lives; seed++) {
    const random = createRandom(seed);
    let [old, young] = [0, 0];
    let crossed = false;
    for (let n = 1; n <= 1_000 && !crossed; n++) {
      old += nextNormal(random);
      young += nextNormal(random);
      crossed = logExcessEvidence((young - old) / n, 2 / n, 0.2) >= Math.log(20);
    }
    if (crossed) fooled++;
  }
  expect(fooled / lives).toBeLessThan(0.05);
});

test("evidence grows with the difference, and without spread it is certain", () => {
  expect(logExcessEvidence(0.5, 0.01, 0.2)).toBeGreaterThan(logExcessEvidence(0.2, 0.01, 0.2));
  expect(logExcessEvidence(-5, 0.01, 0.2)).toBeLessThan(-2);
  expect(logExcessEvidence(-500, 0.01, 0.2)).toBeLessThan(-5); // far out it is still a number
  expect(logExcessEvidence(0.1, 0, 0.2)).toBe(Number.POSITIVE_INFINITY);
  expect(logExcessEvidence(0.1, Number.POSITIVE_INFINITY, 0.2)).toBe(0);
});

test("an interval covers the difference at every look in 95 % of lives", () => {
  let missed = 0;
  const lives = 300;
  for (let seed = 0; seed < lives; seed++) {
    const random = createRandom(seed);
    let sum = 0;
    for (let n = 1; n <= 1_000; n++) {
      sum += 0.3 + nextNormal(random);
      if (Math.abs(sum / n - 0.3) > meanRadius(1 / n, 0.1, 0.05)) {
        missed++;
        break;
      }
    }
  }
  expect(missed / lives).toBeLessThan(0.05);
});
