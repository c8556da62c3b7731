/** Log lines: their form, what is left out of them, and that a value cannot forge a line. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { createLog, lineRateLimit } from "./log.ts";

function setUp(format: "json" | "pretty" = "json", level?: "debug" | "warn") {
  const lines: string[] = [];
  const log = createLog({
    clock: createVirtualClock(1_764_000_000_000),
    write: (line) => lines.push(line),
    format,
    ...(level && { level }),
  });
  return { log, lines };
}

describe("log", () => {
  test("is a JSON line with time, level, message and fields", () => {
    const { log, lines } = setUp();
    log("info", "started", { port: 4000, time: "forged", nothing: undefined });
    expect(lines).toEqual([
      '{"time":"2025-11-24T16:00:00.000Z","level":"info","message":"started","port":4000}\n',
    ]);
  });

  test("keeps secrets out of messages and fields", () => {
    const { log, lines } = setUp();
    log("warn", "refused with sk-abcdefghijklmnop", {
      api_key: "whatever",
      nested: { authorization: "Bearer abcdefgh", url: "https://user:pass@host/" },
    });
    const line = lines.join();
    for (const secret of ["abcdefgh", "whatever", "pass"]) expect(line).not.toContain(secret);
    expect(line).toContain("refused with");
  });

  test("an error shows code and causes; one without a code its stack", () => {
    const { log, lines } = setUp();
    const coded = Object.assign(new Error("outer"), { code: "storage_failed" });
    coded.cause = new Error("inner");
    log("error", "it failed", { error: coded });
    const { error } = JSON.parse(lines[0] ?? "");
    expect(error).toMatchObject({ code: "storage_failed", cause: { message: "inner" } });
    expect(error).not.toHaveProperty("stack");
    expect(error.cause.stack).toContain("log.test.ts");
  });

  test("a line break cannot begin a line, and long lines are cut", () => {
    const plain = setUp();
    plain.log("info", 'a\n{"level":"error"}', { b: "c\nd", long: "x".repeat(50_000) });
    expect(plain.lines.join("").trimEnd()).not.toContain("\n");
    expect(plain.lines.join("").length).toBeLessThan(20_000);
    const pretty = setUp("pretty");
    pretty.log("info", "a\nb\u001b[31m", { b: "c\nd" });
    expect(pretty.lines.join("").trimEnd()).not.toContain("\n");
    expect(pretty.lines.join("")).not.toContain("b\u001b[31m");
  });

  test("a storm of lines is cut, and what was left out is said", async () => {
    const clock = createVirtualClock();
    const lines: string[] = [];
    const log = createLog({ clock, write: (line) => lines.push(line), format: "json" });
    for (let n = 0; n < lineRateLimit + 30; n++) log("info", "again");
    expect(lines).toHaveLength(lineRateLimit);
    await clock.advance(1_000);
    log("info", "quiet now");
    expect(lines.slice(lineRateLimit).map((line) => JSON.parse(line).message)).toEqual([
      "30 log lines were left out",
      "quiet now",
    ]);
  });

  test.each([
    ["debug", 4],
    [undefined, 3],
    ["warn", 2],
  ] as const)("level %s writes %d of four", (level, count) => {
    const { log, lines } = setUp("json", level as "debug");
    for (const one of ["debug", "info", "warn", "error"] as const) log(one, one);
    expect(lines).toHaveLength(count);
  });
});
