/**
 * A secret of the gateway's own, for where the operator named none. It lies beside what it seals, so
 * it protects a copy of the database, not of the whole folder.
 */
import { join } from "node:path";
import { writeFileAtomic } from "./atomic-write.ts";

export const sealingFileName = "sealing.key";
const secretBytes = 32;

/** Undefined where none was made yet. */
export async function readSealingSecret(dataDir: string): Promise<string | undefined> {
  const file = Bun.file(join(dataDir, sealingFileName));
  return (await file.exists()) ? (await file.text()).trim() : undefined;
}

/** For the owner's eyes alone; of several processes that make it, one does. @throws GatewayError storage_failed */
export async function makeSealingSecret(dataDir: string): Promise<string> {
  const secret = crypto.getRandomValues(Buffer.alloc(secretBytes)).toString("base64url");
  const path = join(dataDir, sealingFileName);
  const written = await writeFileAtomic(path, Buffer.from(`${secret}\n`), {
    mode: 0o600,
    ifAbsent: true,
  });
  return written ? secret : ((await readSealingSecret(dataDir)) ?? secret);
}
