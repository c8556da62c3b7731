/** Identity tokens by LiteLLM's references. */
import { expect, test } from "bun:test";
import { readOidcToken } from "./oidc.ts";
import type { Outbound, OutboundRequest } from "./outbound.ts";

const files: Record<string, string> = { "/run/token": " from-file \n", "/empty": " " };
const env = {
  TOKEN: "from-env",
  TOKEN_PATH: "/run/token",
  CIRCLE_OIDC_TOKEN: "circle",
  CIRCLE_OIDC_TOKEN_V2: "circle-2",
  AZURE_FEDERATED_TOKEN_FILE: "/run/token",
  ACTIONS_ID_TOKEN_REQUEST_URL: "https://token.actions.test/x?api-version=2",
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "request-secret",
};

function world(answer: Response = Response.json({ value: "from-github" })) {
  const seen: OutboundRequest[] = [];
  const outbound: Outbound = {
    async fetch(request) {
      seen.push(request);
      return answer;
    },
  };
  const googleIdToken = async (audience: string) => `google for ${audience}`;
  const readText = async (path: string) => files[path];
  const read = (reference: string, of: Record<string, string> = env) =>
    readOidcToken(reference, { env: of, readText, outbound, googleIdToken });
  return { read, seen };
}

test.each([
  ["oidc/env/TOKEN", "from-env"],
  ["oidc/env_path/TOKEN_PATH", "from-file"],
  ["oidc/file//run/token", "from-file"],
  ["oidc/circleci/", "circle"],
  ["oidc/circleci_v2/", "circle-2"],
  ["oidc/azure/api://AzureADTokenExchange", "from-file"],
  ["oidc/github/https://aud.test/x", "from-github"],
  ["oidc/google/https://aud.test", "google for https://aud.test"],
])("%s", async (reference, token) => {
  expect(await world().read(reference)).toBe(token);
});

test("GitHub is asked for the audience, by its own bearer", async () => {
  const { read, seen } = world();
  await read("oidc/github/sts.amazonaws.com");
  expect(seen[0]?.url).toBe(
    "https://token.actions.test/x?api-version=2&audience=sts.amazonaws.com",
  );
  expect(seen[0]?.headers["authorization"]).toBe("Bearer request-secret");
});

test.each([
  ["oidc/env/NOBODY", "NOBODY is not set"],
  ["oidc/env_path/TOKEN", "the file from-env does not exist"],
  ["oidc/file//empty", "empty"],
  ["oidc/gitlab/x", 'no identity of "gitlab"'],
])("%s says what is missing", async (reference, why) => {
  await expect(world().read(reference)).rejects.toThrow(why);
});

test("a refusal has no secret in it", async () => {
  const refused = world(new Response("request-secret", { status: 401 }));
  await expect(refused.read("oidc/github/x")).rejects.toThrow("GitHub answered 401 and no token");
});
