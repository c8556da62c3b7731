/**
 * The README and docs/ held to the program: snippets of configuration pass `config check`, command
 * lines parse, and flags and configuration keys that the text names exist.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kind, type TSchema } from "@sinclair/typebox";
import { Glob } from "bun";
import { parse, stringify } from "yaml";
import type { Command } from "../src/cli/command.ts";
import { createConfigSource } from "../src/cli/config-source.ts";
import { findCommand, globalFlags, parseWords } from "../src/cli/parse.ts";
import { commands } from "../src/cli/registry.ts";
import { configSchema } from "../src/config/sections/all.ts";

const root = join(import.meta.dir, "..");
/** A changelog tells of what was; records of decisions tell of what was thought of. */
const paths = ["README.md", ...new Glob("docs/*.md").scanSync({ cwd: root })].filter(
  (path) => !path.endsWith("CHANGELOG.md"),
);
const pages = paths.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

interface Fence {
  readonly at: string;
  readonly language: string;
  readonly text: string;
}

const fences: readonly Fence[] = pages.flatMap(({ path, text }) =>
  [...text.matchAll(/^```(\w*)[^\n]*\n([\s\S]*?)^```/gm)].map((m) => ({
    at: `${path}:${text.slice(0, m.index).split("\n").length}`,
    language: m[1] ?? "",
    text: m[2] ?? "",
  })),
);

const scratch = mkdtempSync(join(tmpdir(), "routeiq-docs-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("snippets of configuration", () => {
  const snippets = fences.filter(
    ({ language, text }) => language === "yaml" && !text.startsWith("---"), // a skill's front matter
  );

  test("there are some", () => expect(snippets.length).toBeGreaterThan(15));

  test.each(snippets.map((fence) => [fence.at, fence.text] as const))("%s", async (at, text) => {
    const file = join(scratch, `${at.replaceAll(/\W/g, "-")}.yaml`);
    writeFileSync(file, stringify({ ...surroundings(), ...parse(filled(text)) }));
    const { findings } = await createConfigSource(file, environmentOf(text)).load();
    const told = findings.filter(({ message }) => !expected.test(message));
    expect(told.map(({ path, message }) => `${path}: ${message}`)).toEqual([]);
  });
});

/** What a snippet says nothing of: models by the names that the pages use, and a master key. */
function surroundings() {
  const names = ["gpt-4o", "fast", "strong", "minilm"];
  const model_list = names.map((name) => ({
    model_name: name,
    litellm_params: { model: `openai/${name}`, api_key: "sk-x" },
    model_info: { mode: name === "minilm" ? "embedding" : "chat" },
  }));
  return { model_list, general_settings: { master_key: "sk-master-key-of-the-docs" } };
}

/** A hash that the reader's own program printed. */
const filled = (text: string) => text.replaceAll("sha256:…", `sha256:${"0a".repeat(32)}`);

/** Routers and modules that a reader has and this test has not. */
const expected = /does not exist/;

const environmentOf = (text: string) =>
  Object.fromEntries(
    [...text.matchAll(/os\.environ\/(\w+)/g)].map((m) => [m[1] ?? "", fill(m[1] ?? "")]),
  );
const publicKey = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" });
const fill = (name: string): string => {
  if (name === "DATABASE_URL") return "postgres://user:password@db.example/vectors";
  return name.endsWith("_CARD_KEY") ? String(publicKey) : "value-of-the-variable";
};

const loaded: readonly Command[] = await Promise.all(Object.values(commands).map((load) => load()));
const commandNames = loaded.map(({ name }) => name);

describe("command lines", () => {
  const written = fences.flatMap(({ at, language, text }) =>
    ["", "sh"].includes(language) && !at.startsWith("docs/cli.md")
      ? text
          .replaceAll("\\\n", " ")
          .split("\n")
          .filter((line) => /^routeiq [a-z]/.test(line))
          .map((line) => [at, line.replace(/\s+#.*/, "")] as const)
      : [],
  );

  test("there are some", () => expect(written.length).toBeGreaterThan(30));

  test.each(written)("%s: %s", (_at, line) => {
    const words = line
      .replaceAll(/[[\]']/g, "")
      .split(/\s+/)
      .slice(1); // brackets: may be left out
    const end = words.findIndex((word) => /^[|>&]/.test(word));
    const { command, rest } = find(end < 0 ? words : words.slice(0, end));
    parseWords(command, rest);
  });

  const mentioned = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/`routeiq ([a-z][^`\n]*)`/g)].map((m) => [path, m[1] ?? ""] as const),
  );

  test.each(mentioned)("%s: routeiq %s", (_path, line) => {
    const words = line.replace(/(\w)\|\S+/, "$1").split(/[\s[\]|]+/); // `stop|start`: the first
    if (/^…?$/.test(words[1] ?? "…") && isFamily(words[0] ?? "")) return;
    const { command, rest } = find(words);
    const known = { ...command.flags, ...globalFlags };
    const flags = rest.filter((word) => word.startsWith("--")).map((word) => word.slice(2));
    expect(flags.filter((flag) => !Object.hasOwn(known, flag.replace(/=.*/, "")))).toEqual([]);
  });

  const isFamily = (word: string) => commandNames.some((name) => name.startsWith(`${word} `));

  function find(words: readonly string[]) {
    const { name, rest } = findCommand(words, commandNames);
    const command = loaded.find((each) => each.name === name);
    if (!command) throw new Error(`there is no command ${name}`);
    return { command, rest };
  }
});

/** Flags of what the pages call beside the gateway: npm's scripts, Docker, bun's tests. */
const otherPrograms = ["read-only", "target"];

describe("flags named in the text", () => {
  const known = new Set([
    ...loaded.flatMap(({ flags }) => Object.keys(flags ?? {})),
    ...Object.keys(globalFlags),
    "version",
    "flag", // `--flag=false`, as docs/cli.md has it
    ...otherPrograms,
  ]);
  test.each(pages.map(({ path, text }) => [path, text] as const))("%s", (_path, text) => {
    const named = [...text.matchAll(/`--([a-z][\w-]*)/g)].map((m) => m[1] ?? "");
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});

describe("configuration keys named in the text", () => {
  test.each(pages.map(({ path, text }) => [path, text] as const))("%s", (_path, text) => {
    const named = [
      ...text.matchAll(/`((?:router|routeiq|general|litellm)_settings(?:\.[a-z0-9_]+)+)/g),
    ].map((m) => m[1] ?? "");
    expect(named.filter((key) => !isKey(key))).toEqual([]);
  });
});

/** Whether a dotted path leads somewhere; below a map of names every name does. */
function isKey(path: string): boolean {
  let schema: TSchema | undefined = configSchema;
  for (const name of path.split(".")) {
    if (schema?.[Kind] === "Array") schema = schema["items"] as TSchema;
    if (schema?.[Kind] !== "Object") return schema !== undefined; // a map, or a choice of forms
    schema = (schema["properties"] as Record<string, TSchema>)[name];
  }
  return schema !== undefined;
}
