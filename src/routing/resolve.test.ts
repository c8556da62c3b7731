/** What a requested name stands for, in LiteLLM's order. */
import { describe, expect, test } from "bun:test";
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

describe("beyond groups", () => {
  const rows = [
    deployment("a", { group: "gpt", candidate: "openai/gpt-4o" }),
    deployment("b", { group: "fast", candidate: "openai/gpt-4o" }),
    deployment("c", { group: "safe", candidate: "anthropic/claude" }),
    deployment("d", { group: "groq/*", candidate: "groq/*", upstreamModel: "*" }),
  ];
  const off = [
    { group: "poet", model: "oci/poet", message: "not served" },
    { group: "groq/x*", model: "oci/x*", message: "not served" },
  ];
  const settings = { aliases: { verse: { model: "poet", hidden: false } }, autoModels: {} };
  const make = (deployments = rows, defaultFallbacks = ["safe"]) =>
    createResolveTable({
      ...settings,
      deployments,
      off,
      defaultFallbacks,
      factsOf: (each) => each.facts,
    });

  const names = [
    ["openai/gpt-4o", "a b"], // every row of that underlying model
    ["groq/llama", "d"],
    ["nobody", "c"], // with wildcards about, every name may be meant: the default fallback
  ] as const;
  test.each(names)("%s", (name, ids) => {
    const found = make().find(name, "chat");
    expect(found?.deployments.map(({ id }) => id).join(" ")).toBe(ids);
  });

  test("without wildcards an unknown name is unknown", () => {
    expect(make(rows.slice(0, 3)).find("nobody", "chat")).toBeUndefined();
  });

  test("what is turned off says why, by every name it has", () => {
    const table = make(rows, []);
    for (const name of ["poet", "verse", "oci/poet", "groq/x1"]) {
      expect(table.find(name, "chat")).toBeUndefined();
      expect(table.reasonOff(name)).toBe("not served");
    }
    expect(table.reasonOff("nobody")).toBeUndefined();
  });

  test("a row of a wildcard shares its health, and `*` itself never rests", () => {
    expect(make().find("groq/llama", "chat")?.deployments[0]).toMatchObject({ wildcard: true });
    const all = [deployment("e", { group: "*", candidate: "*", upstreamModel: "*" })];
    expect(make(all).find("any", "chat")?.deployments[0]).toMatchObject({ cooldownS: 0 });
  });
});
