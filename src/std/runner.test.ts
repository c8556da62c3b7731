/** Who is gone, and who only may be. */
import { expect, test } from "bun:test";
import { isGone, thisRunner } from "./runner.ts";

const here = thisRunner();
/** A child that has ended: its pid is nobody's for now. */
const { pid } = Bun.spawnSync({ cmd: ["true"] });
const other = { ...here, instance: "another" };
const cases = [
  ["this process", here, false],
  ["an earlier one with this pid, as in a container", other, true],
  ["one on another host", { ...other, host: "elsewhere", pid }, false],
  ["one that has ended", { ...other, pid }, true],
  ["one that lives", { ...other, pid: process.ppid }, false],
] as const;

test.each(cases)("%s", (_name, runner, gone) => {
  expect(isGone(runner)).toBe(gone);
});
