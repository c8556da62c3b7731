/** The gateway's signature under its agents' cards, and the key set by which others check it. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { sha256 } from "../../security/hashing.ts";
import { writeFileAtomic } from "../../storage/file/atomic-write.ts";
import { canonical, canonicalCard } from "./card-signature.ts";

export const cardKeysPath = "/.well-known/a2a-keys.json";
const keyFileName = "a2a-card.key";

export interface CardSigner {
  /** With `signatures`. @param jku where the key set is @throws GatewayError invalid_config */
  sign(card: JsonObject, jku: string): Promise<JsonObject>;
  /** A key set, RFC 7517. */
  keys(): Promise<JsonObject>;
}

interface Key {
  readonly secret: KeyObject;
  readonly algorithm: "ES256" | "EdDSA";
  readonly id: string;
  readonly published: JsonObject;
}

/** @param configured PEM of a key; else one of the gateway's own, which stays in the data folder. */
export function createCardSigner(
  dataDir: string,
  configured: () => string | undefined,
): CardSigner {
  let held: { readonly pem: string | undefined; readonly key: Promise<Key> } | undefined;
  const key = (): Promise<Key> => {
    const pem = configured();
    if (!held || held.pem !== pem) {
      held = { pem, key: pem === undefined ? ownKey(dataDir) : Promise.resolve(pem).then(toKey) };
      held.key.catch(() => {
        held = undefined; // read again by the next card
      });
    }
    return held.key;
  };
  return {
    async sign(card, jku) {
      const { secret, algorithm, id } = await key();
      const header = { alg: algorithm, jku, kid: id, typ: "JOSE" };
      const head = Buffer.from(canonical(header)).toString("base64url");
      const payload = Buffer.from(canonicalCard(card)).toString("base64url");
      const bytes = Buffer.from(`${head}.${payload}`);
      const made =
        algorithm === "ES256"
          ? sign("sha256", bytes, { key: secret, dsaEncoding: "ieee-p1363" })
          : sign(null, bytes, secret);
      return { ...card, signatures: [{ protected: head, signature: made.toString("base64url") }] };
    },
    async keys() {
      return { keys: [(await key()).published] };
    },
  };
}

/** Of several processes that make it, one does. */
async function ownKey(dataDir: string): Promise<Key> {
  const path = join(dataDir, keyFileName);
  const file = Bun.file(path);
  if (!(await file.exists())) {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    await writeFileAtomic(path, Buffer.from(pem), { mode: 0o600, ifAbsent: true });
  }
  return toKey(await Bun.file(path).text());
}

function toKey(pem: string): Key {
  let secret: KeyObject;
  try {
    secret = createPrivateKey(pem);
  } catch (cause) {
    throw unusable("cannot be read", cause);
  }
  const { kty, crv, x, y } = createPublicKey(secret).export({ format: "jwk" }) as JsonObject;
  const algorithm = crv === "P-256" ? "ES256" : crv === "Ed25519" ? "EdDSA" : undefined;
  if (!algorithm) throw unusable("is neither of P-256 nor of Ed25519");
  const bare = JSON.parse(JSON.stringify({ kty, crv, x, y })) as JsonObject;
  // RFC 7638: the members in the order of their names.
  const id = Buffer.from(sha256(canonical(bare))).toString("base64url");
  return { secret, algorithm, id, published: { ...bare, kid: id, alg: algorithm, use: "sig" } };
}

const unusable = (why: string, cause?: unknown) =>
  new GatewayError("internal", `The key of routeiq_settings.a2a.card_key ${why}.`, { cause });
