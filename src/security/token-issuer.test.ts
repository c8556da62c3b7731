/** Keys that an issuer changes, and how often it is asked. */
import { expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import type { Outbound } from "./outbound.ts";
import { createTokenIssuer } from "./token-issuer.ts";

const issuer = "https://login.example/tenant";

async function keyPair(kid: string) {
  const params = { name: "ECDSA", namedCurve: "P-256" };
  const made = await crypto.subtle.generateKey(params, true, ["sign", "verify"]);
  const jwk = { ...(await crypto.subtle.exportKey("jwk", made.publicKey)), kid };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const sign = async (claims: object) => {
    const text = `${part({ alg: "ES256", kid })}.${part(claims)}`;
    const signed = { name: "ECDSA", hash: "SHA-256" };
    const tail = await crypto.subtle.sign(signed, made.privateKey, Buffer.from(text));
    return `${text}.${Buffer.from(tail).toString("base64url")}`;
  };
  return { jwk, sign };
}

test("changed keys are found, unknown ones looked for every 30 s at most, metadata by OpenID's path", async () => {
  const clock = createVirtualClock();
  const [first, second] = [await keyPair("one"), await keyPair("two")];
  let keys = [first.jwk];
  const asked: string[] = [];
  const answers: Record<string, () => object> = {
    "https://login.example/tenant/.well-known/openid-configuration": () => ({
      issuer,
      jwks_uri: "https://keys.example/jwks",
    }),
    "https://login.example/.well-known/oauth-authorization-server/tenant": () => ({
      issuer: "https://login.example/another",
      jwks_uri: "https://evil.example/jwks",
    }),
    "https://keys.example/jwks": () => ({ keys }),
  };
  const outbound: Outbound = {
    fetch({ url, trust }) {
      asked.push(`${trust} ${url}`);
      const answer = answers[url];
      return Promise.resolve(answer ? Response.json(answer()) : new Response("", { status: 404 }));
    },
  };
  const it = createTokenIssuer({ issuer }, { outbound, clock });
  const claims = () => ({ iss: issuer, exp: clock.now() / 1000 + 60 });
  expect(await it.verify(await first.sign(claims()))).toMatchObject({ iss: issuer });
  expect(asked.at(-1)).toBe("strict https://keys.example/jwks");
  const before = asked.length;
  keys = [second.jwk];
  const refused = expect.stringContaining("none of its issuer's keys");
  for (let i = 0; i < 3; i++) {
    const failure = await it.verify(await second.sign(claims())).catch((thrown) => thrown.message);
    expect(failure).toEqual(refused);
  }
  expect(asked.length).toBe(before);
  await clock.advance(31_000);
  expect(await it.verify(await second.sign(claims()))).toMatchObject({ iss: issuer });
  expect(asked.length).toBe(before + 1);
});
