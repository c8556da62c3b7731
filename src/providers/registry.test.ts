/** What every provider must do, whatever it is. A new one is tested by being registered. */
import { describe, expect, test } from "bun:test";
import type { ChatRequest } from "../domain/chat.ts";
import type { Operation } from "../domain/model.ts";
import { adaptBody, headersFor, urlFor } from "./provider.ts";
import { findProvider, notServedYet, prefixes, providers } from "./registry.ts";

const plain: ChatRequest = { model: "auto", messages: [{ role: "user", content: "hi" }] };
const rich: ChatRequest = {
  ...plain,
  messages: [
    {
      role: "user",
      name: "ann",
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
    },
    { role: "assistant", content: "c", reasoning_content: "d" },
    { role: "user", content: "e" },
  ],
  max_completion_tokens: 5,
  seed: 1,
  user: "u",
  tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
  tool_choice: "required",
};

/** What a service that is told where by `locate` wants to know. */
const place = { vertex_project: "my-project", vertex_location: "europe-west4" };
/** Services that want a field of their own in every body. */
const addedAlways: Readonly<Record<string, object>> = {
  vertex_ai_anthropic: { anthropic_version: "vertex-2023-10-16" },
};

describe.each(providers.map((provider) => [provider.name, provider] as const))(
  "%s",
  (_name, provider) => {
    test("is named in kebab- or snake-case, and found by each of its names", () => {
      for (const name of [provider.name, ...(provider.aliases ?? [])]) {
        expect(name).toMatch(/^[a-z0-9_-]+$/);
        expect(findProvider(name)).toBe(provider);
        expect(notServedYet.has(name)).toBe(false);
      }
    });

    test("serves something at an address", () => {
      const located = provider.locate?.({ base: "https://host", params: place, env: {} });
      const base =
        provider.baseUrl ?? (located && "base" in located ? located.base : "http://host/v1");
      expect(base).toMatch(
        /^https:\/\/[^/]+(\/[\w./-]*)?[^/]$|^http:\/\/(localhost|127\.0\.0\.1|host)|^https:\/\/host\//,
      );
      const served = Object.keys(provider.paths) as Operation[];
      expect(served).not.toBeEmpty();
      for (const operation of served) {
        expect(URL.canParse(urlFor(provider, base, operation) ?? "")).toBe(true);
      }
      expect(provider.baseUrl ?? provider.baseUrlEnv?.[0] ?? located).toBeDefined();
      expect(provider.source).toStartWith("https://");
    });

    test("a base stays itself, however often it is tidied", () => {
      const once = provider.toBase?.(provider.baseUrl ?? "http://host") ?? "";
      expect(provider.toBase?.(once) ?? "").toBe(once);
    });

    test("carries the key in one header and never elsewhere", () => {
      const headers = headersFor(provider, "the-key");
      const holders = Object.values(headers).filter((value) => value.includes("the-key"));
      expect(holders).toHaveLength(["none", "token"].includes(provider.auth.kind) ? 0 : 1);
      expect(Object.values(headersFor(provider, undefined)).join()).not.toContain("undefined");
    });

    test("adapts without changing what it was given, and is done after one pass", () => {
      for (const request of [plain, rich]) {
        const body = provider.dialect.encodeRequest(request, "model-x", { dropParams: true });
        const before = JSON.stringify(body);
        const adapted = adaptBody(provider, body);
        expect(JSON.stringify(body)).toBe(before);
        expect(adaptBody(provider, adapted)).toBe(adapted);
        expect(adapted["model"]).toBe("model-x");
      }
    });

    test("a plain body needs no adaptation, so that its bytes may pass", () => {
      const body = { model: "model-x", messages: [{ role: "user", content: "hi" }], max_tokens: 5 };
      const added = addedAlways[provider.name];
      if (added) expect(adaptBody(provider, body)).toEqual({ ...body, ...added });
      else expect(adaptBody(provider, body)).toBe(body);
    });
  },
);

test("no prefix has two owners", () => {
  expect(new Set(prefixes).size).toBe(prefixes.length);
});
