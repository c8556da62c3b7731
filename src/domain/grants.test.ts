/** What lists of a key open, name by name. */
import { expect, test } from "bun:test";
import {
  type Grants,
  isForeignGranted,
  isListed,
  isRouteGranted,
  isServerGranted,
  isToolGranted,
  type McpGrants,
} from "./grants.ts";

const mcp = (given: Partial<McpGrants>): Grants => ({
  mcp: { servers: [], accessGroups: [], tools: {}, ...given },
});

const tools: readonly (readonly [Grants, string, string, boolean])[] = [
  [{}, "a", "t", true],
  [mcp({}), "a", "t", false],
  [mcp({ servers: ["a"] }), "a", "t", true],
  [mcp({ servers: ["*"] }), "a", "t", true],
  [mcp({ servers: ["b*"] }), "a", "t", false],
  [mcp({ accessGroups: ["dev"] }), "a", "t", true],
  [mcp({ accessGroups: ["ops"] }), "a", "t", false],
  // Tools that are named open their server, and narrow it where it is open otherwise.
  [mcp({ tools: { a: ["t"] } }), "a", "t", true],
  [mcp({ tools: { a: ["t"] } }), "a", "u", false],
  [mcp({ servers: ["a"], tools: { a: ["get_*"] } }), "a", "get_x", true],
  [mcp({ servers: ["a"], tools: { a: ["get_*"] } }), "a", "set_x", false],
  [mcp({ tools: { b: ["t"] } }), "a", "t", false],
  // No name of an object's own.
  [mcp({}), "constructor", "t", false],
];
test.each(tools)("%j: %s.%s is open: %p", (grants, name, tool, open) => {
  expect(isToolGranted(grants, { name, accessGroups: ["dev"] }, tool)).toBe(open);
  if (open) expect(isServerGranted(grants, { name, accessGroups: ["dev"] })).toBe(true);
});

const foreign: readonly (readonly [Grants, string, boolean])[] = [
  [{}, "https://x.example/mcp", true],
  [mcp({ servers: ["*"] }), "https://x.example/mcp", false],
  [mcp({ servers: ["https://x.example/*"] }), "https://x.example/mcp", true],
  [mcp({ servers: ["https://x.example/mcp"] }), "https://X.example:443/mcp", true],
  [mcp({ servers: ["https://x.example/*"] }), "https://x.example.evil/mcp", false],
  [mcp({ servers: ["https://x.example/*"] }), "https://x.example@evil/mcp", false],
  [mcp({ servers: ["connector_mail"] }), "connector_mail", true],
  [mcp({ servers: ["connector_mail"] }), "connector_drive", false],
];
test.each(foreign)("%j: %s is open: %p", (grants, named, open) => {
  expect(isForeignGranted(grants, named)).toBe(open);
});

const routes: readonly (readonly [Grants, string, boolean])[] = [
  [{}, "/openai/v1/models", true],
  [{ agents: ["a"] }, "/openai/v1/models", false],
  [{ agents: ["a"], passThroughRoutes: ["/openai"] }, "/openai/v1/models", true],
  [{ passThroughRoutes: ["/openai/"] }, "/openai/v1/models", true],
  [{ passThroughRoutes: ["/openai"] }, "/openai_other/v1", false],
  [{ passThroughRoutes: [] }, "/openai/v1/models", false],
];
test.each(routes)("%j: %s is open: %p", (grants, path, open) => {
  expect(isRouteGranted(grants, path)).toBe(open);
});

test("a list that is missing opens all, an empty one nothing", () => {
  expect(isListed(undefined, "x")).toBe(true);
  expect(isListed([], "x")).toBe(false);
  expect(isListed(["id"], "name", "id")).toBe(true);
});
