/**
 * Encryption of what is kept and must be read again: credentials of servers and agents that came by
 * API. AES-256-GCM; a key is derived from the operator's secret by HKDF-SHA-256 (RFC 5869), and is
 * not stretched: the secret must be long. Sealed text says in which form, and with which key:
 * `riq1.<key id, 8 hex>.<base64url of 12 bytes of nonce, ciphertext, 16 bytes of tag>`.
 */
import { excerpt, GatewayError } from "../domain/errors.ts";

export interface SealingSecrets {
  /** What is sealed from now on is sealed with it. */
  readonly current: string;
  /** What was sealed with one of these can still be opened. */
  readonly previous: readonly string[];
}

export interface Sealer {
  /** `place`: where the text will stand; it opens nowhere else. Some 20 µs, on a thread of the runtime's. */
  seal(text: string, place: string): Promise<string>;
  /** @throws GatewayError sealed_unreadable: another key, another place, or changed since */
  open(sealed: string, place: string): Promise<Opened>;
}

export interface Opened {
  readonly text: string;
  /** It was sealed with a previous secret, and should be sealed again. */
  readonly isOld: boolean;
}

interface Key {
  readonly id: string;
  readonly key: CryptoKey;
}

const form = "riq1";
const shape = /^riq1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/;
const nonceBytes = 12;
/** Secrets of one process's life; a configuration that is reloaded with new ones all day must not fill memory. */
const keysKept = 32;

export function createSealer(secrets: () => Promise<SealingSecrets>): Sealer {
  const keys = new Map<string, Promise<Key>>();

  function keyOf(secret: string): Promise<Key> {
    const held = keys.get(secret);
    if (held) return held;
    if (keys.size >= keysKept) keys.clear();
    const made = deriveKey(secret);
    keys.set(secret, made);
    return made;
  }

  return {
    async seal(text, place) {
      const { id, key } = await keyOf((await secrets()).current);
      const iv = crypto.getRandomValues(new Uint8Array(nonceBytes));
      const options = { name: "AES-GCM", iv, additionalData: bytesOf(place) };
      const body = await crypto.subtle.encrypt(options, key, bytesOf(text));
      return `${form}.${id}.${Buffer.concat([iv, new Uint8Array(body)]).toString("base64url")}`;
    },
    async open(sealed, place) {
      const [, id, encoded] = shape.exec(sealed) ?? [];
      if (id === undefined || encoded === undefined) {
        throw unreadable(place, "it is of a form that this version does not know");
      }
      const { current, previous } = await secrets();
      for (const secret of [current, ...previous]) {
        const key = await keyOf(secret);
        if (key.id !== id) continue;
        return { text: await decrypt(key, encoded, place), isOld: secret !== current };
      }
      throw unreadable(place, `it was sealed with another key (${id})`);
    },
  };
}

async function decrypt({ key }: Key, encoded: string, place: string): Promise<string> {
  const bytes = new Uint8Array(Buffer.from(encoded, "base64url"));
  const iv = bytes.subarray(0, nonceBytes);
  const options = { name: "AES-GCM", iv, additionalData: bytesOf(place) };
  try {
    const text = await crypto.subtle.decrypt(options, key, bytes.subarray(nonceBytes));
    return new TextDecoder().decode(text);
  } catch (cause) {
    throw unreadable(place, "it was changed since it was sealed, or moved", { cause });
  }
}

async function deriveKey(secret: string): Promise<Key> {
  const source = await crypto.subtle.importKey("raw", bytesOf(secret), "HKDF", false, [
    "deriveBits",
  ]);
  const derive = async (info: string, bits: number) => {
    const salt = bytesOf("routeiq/sealing");
    const options = { name: "HKDF", hash: "SHA-256", salt, info: bytesOf(info) };
    return new Uint8Array(await crypto.subtle.deriveBits(options, source, bits));
  };
  const raw = await derive("v1/key", 256);
  return {
    id: Buffer.from(await derive("v1/id", 32)).toString("hex"),
    key: await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]),
  };
}

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "utf8"));

function unreadable(place: string, why: string, options?: ErrorOptions): GatewayError {
  const message =
    `What is kept of '${excerpt(place)}' cannot be read: ${why}. Set LITELLM_SALT_KEY (or the master key) to what it was, ` +
    "or name the former one in routeiq_settings.encryption.previous_salt_keys.";
  return new GatewayError("sealed_unreadable", message, options);
}
