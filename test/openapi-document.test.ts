/** `/openapi.json` is valid OpenAPI 3.1, tells of every route and of none that is not there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { callRoutes } from "../src/http/call-routes.ts";
import { createRouteTable } from "../src/http/routes.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const master = "sk-master-0123456789";
let gateway: TestGateway;
let text: string;
let document: {
  readonly paths: Record<string, Record<string, { operationId: string; security?: object[] }>>;
};

beforeAll(async () => {
  gateway = await startTestGateway({
    yaml:
      "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: k}}]\n" +
      "agent_list: [{agent_name: x, model: a}]\n", // its card is for anyone
    env: { LITELLM_MASTER_KEY: master },
  });
  const response = await fetch(`${gateway.gateway.url}/openapi.json`);
  expect(response.headers.get("content-type")).toStartWith("application/json");
  text = await response.text();
  document = JSON.parse(text);
});
afterAll(() => gateway.gateway.close());

test("is valid against the specification's own schema, its references included", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(JSON.parse(text));
  expect({ valid, errors: JSON.stringify(errors ?? "").slice(0, 500) }).toMatchObject({
    valid: true,
  });
  const refs = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, ref = ""]) => ref);
  expect(refs.length).toBeGreaterThan(100);
  for (const ref of new Set(refs)) {
    const found = ref
      .split("/")
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
    expect([ref, typeof found]).toEqual([ref, "object"]);
  }
});

test("names operations once, and every parameter of a path", () => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  );
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { path, parameters } of operations as { path: string; parameters?: object[] }[]) {
    const named = (parameters ?? []).filter((each) => "in" in each && each.in === "path");
    expect([path, named.length]).toEqual([path, [...path.matchAll(/\{/g)].length]);
  }
});

describe("what it tells", () => {
  const found = createRouteTable(callRoutes({} as never));
  const templates = callRoutes({} as never).flatMap(({ paths, docs }) => [
    ...paths,
    ...(docs.templates ?? []),
  ]);
  test.each(templates)("POST %s is a call's route", (path) => {
    const called = path.replace("{model}", "gpt-4o").replace(/\{\w+\}/g, "x");
    const route = found(called);
    expect(route?.model).toBe(path.includes("{model}") ? "gpt-4o" : undefined);
    expect(route).toBeDefined();
    expect(document.paths[path]?.["post"]).toBeDefined();
  });

  test("is there: no path of it answers 404 or 405 to its method, and keys are asked as it says", async () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      if (path.startsWith("/{provider}")) continue;
      const url = gateway.gateway.url + path.replace(/\{model\}/, "a").replace(/\{\w+\}/g, "x");
      for (const [method, { security = [] }] of Object.entries(methods)) {
        const { status } = await fetch(url, { method: method.toUpperCase() });
        // A file of a skill that is not there, asked for by anyone, is not found.
        // A callback without its code; metadata of OAuth, where nobody configured it.
        const bare = /\/\{path\}$|oauth-(protected|authorization)/.test(path) ? 404 : 200;
        const open = path.endsWith("/oauth/callback") ? 400 : bare;
        const expected = security.length > 0 ? 401 : open;
        expect([method, path, status]).toEqual([method, path, expected]);
      }
    }
  });
});

test("the page is one file without a script, and shows every operation", async () => {
  const response = await fetch(`${gateway.gateway.url}/docs`);
  const page = await response.text();
  expect(response.headers.get("content-security-policy")).toStartWith("default-src 'none'");
  expect(page).not.toMatch(/<script|<link|src=|@import|url\(|\{\{/);
  expect(page.length).toBeLessThan(140_000);
  for (const path of Object.keys(document.paths)) {
    if (!path.includes("projects")) expect(page).toContain(`<code>${path}</code>`);
  }
});
