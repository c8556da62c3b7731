/**
 * The claim behind the image: the binary needs glibc's files and /proc, and nothing else: no network,
 * no writable root, no privileges.
 */
import { describe, expect, test } from "bun:test";
import { jailMissing, runJailed } from "../support/jail.ts";

const missing = jailMissing();

describe.skipIf(missing !== undefined)(
  `in a jail${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    test("it says its version", async () => {
      const { exitCode, stdout, stderr } = await runJailed(["version"]);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(stdout).toStartWith("routeiq ");
    });

    test("without /proc it stops at once (so the image's documentation is right to ask for it)", async () => {
      const { exitCode } = await runJailed(["version"], { proc: false });
      expect(exitCode).toBe(132); // the runtime aborts
    });
  },
);
