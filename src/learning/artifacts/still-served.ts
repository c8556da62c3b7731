/** After a refusal: may the release that was in force before stay so? */
import { ArtifactRefusal } from "./refusal.ts";
import { checkRetired, type VerifyInput, walkRoots } from "./verify.ts";

/**
 * Version of the last accepted release, or 0 where there is none or where the newest valid root
 * has retired it: revocation reaches what is already installed, whatever else is wrong.
 */
export async function stillServed(input: VerifyInput): Promise<number> {
  const { state } = input;
  if (!state || state.releaseVersion === 0) return 0;
  try {
    const { root } = await walkRoots(input);
    checkRetired(root, state.releaseVersion, state.releaseSha256);
  } catch (error) {
    if (!(error instanceof ArtifactRefusal)) throw error;
    // Roots that do not hold, or cannot be read, retire nothing.
    const retired = error.refusal === "revoked" || isUnderLeast(error);
    if (retired) return 0;
  }
  return state.releaseVersion;
}

const isUnderLeast = (error: ArtifactRefusal) =>
  error.refusal === "rollback" && error.message.includes("under the least allowed");
