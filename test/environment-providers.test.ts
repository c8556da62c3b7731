/** The providers that a key alone makes usable are ones we serve, with models we know. */
import { expect, test } from "bun:test";
import { knownProviders } from "../src/config/environment.ts";
import { loadCatalog } from "../src/providers/catalog.ts";
import { findProvider } from "../src/providers/registry.ts";

const catalog = loadCatalog();

test.each(knownProviders.map((provider) => [provider.prefix, provider] as const))(
  "%s",
  (prefix, known) => {
    const provider = findProvider(prefix);
    expect(provider?.name).toBe(prefix);
    const env: readonly string[] = provider?.auth.kind === "none" ? [] : (provider?.auth.env ?? []);
    expect(env).toContain(known.keys[0] ?? "");
    const listed = catalog.modelsOf(prefix);
    const unknown = [...known.models, ...(known.embeddings ?? [])].filter(
      (name) => !listed.includes(name),
    );
    expect(unknown).toEqual([]);
  },
);
