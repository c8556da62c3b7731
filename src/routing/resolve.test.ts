/** What a requested name stands for, in LiteLLM's order. */
import { expect, test } from "bun:test";
import { deployment } from "../../test/support/deployments.ts";
import { createResolveTable } from "./resolve.ts";

const table = createResolveTable({
  deployments: [
    deployment("id-1", { group: "gpt", candidate: "openai/gpt-4o", upstreamModel: "gpt-4o" }),
    deployment("id-2", { group: "gpt", candidate: "openai/gpt-4o-mini" }),
    deployment("id-3", { group: "claude", candidate: "anthropic/claude" }),
    deployment("id-4", { group: "openai/*", candidate: "openai/*", upstreamModel: "*" }),
    deployment("id-5", { group: "openai/o*", candidate: "openai/fixed", upstreamModel: "fixed" }),
    deployment("id-6", { group: "*", candidate: "openai/catch-*", upstreamModel: "catch-*" }),
    deployment("id-7", { group: "embed", operation: "embedding" }),
  ],
  aliases: { best: { model: "claude", hidden: false }, quiet: { model: "gpt", hidden: true } },
  autoModels: { auto: {}, cheap: { candidates: ["claude"] } },
  factsOf: ({ facts }) => ({ ...facts, sizeB: 7 }),
});

const cases = [
  // asked          kind          group          ids              upstream model of the first
  ["id-2", "deployment", "gpt", "id-2", "id-2"],
  ["gpt", "group", "gpt", "id-1 id-2", "gpt-4o"],
  ["best", "group", "claude", "id-3", "id-3"],
  ["quiet", "group", "gpt", "id-1 id-2", "gpt-4o"],
  ["openai/gpt-5", "group", "openai/gpt-5", "id-4", "gpt-5"],
  ["openai/o3", "group", "openai/o3", "id-5", "fixed"], // the longer pattern first
  ["whatever/x", "group", "whatever/x", "id-6", "catch-whatever/x"],
  ["auto", "auto", "auto", "id-1 id-2 id-3", "gpt-4o"], // every chat group, no wildcards
  ["cheap", "auto", "cheap", "id-3", "id-3"],
] as const;

test.each(cases)("%s", (name, kind, group, ids, upstreamModel) => {
  const found = table.find(name, "chat");
  expect(found?.kind).toBe(kind);
  expect(found?.group).toBe(group);
  expect(found?.deployments.map(({ id }) => id).join(" ")).toBe(ids);
  expect(found?.deployments[0]?.upstreamModel).toBe(upstreamModel);
});

test("a derived deployment has the facts of the model that it leads to", () => {
  const [found] = table.find("openai/gpt-5", "chat")?.deployments ?? [];
  expect(found).toMatchObject({ candidate: "openai/gpt-5", facts: { sizeB: 7 } });
});

test("names without an entry, those of Object among them, are unknown where no wildcard takes them", () => {
  const plain = createResolveTable({
    deployments: [deployment("a", { group: "g" })],
    aliases: {},
    autoModels: { auto: {} },
    factsOf: ({ facts }) => facts,
  });
  for (const name of ["x", "", "constructor", "__proto__", "toString"]) {
    expect(plain.find(name, "chat")).toBeUndefined();
  }
  expect(plain.find("auto", "embedding")).toBeUndefined();
});

test("what is listed: groups, aliases that are not hidden, automatic names", () => {
  expect(table.names).toEqual(["gpt", "claude", "embed", "best", "auto", "cheap"]);
});
