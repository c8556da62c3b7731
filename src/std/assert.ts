/** States what must hold. A failed assertion is a bug of ours: it fails the call, not the process. */
export class AssertionFailed extends Error {}

export function assert(condition: unknown, because: string): asserts condition {
  if (!condition) throw new AssertionFailed(`assertion failed: ${because}`);
}
