/** Words as every backend counts them, and FTS5's tokenizer: small letters, no accents, each once. */

/** Words of a question that count; a whole document as a question is its first ones. */
export const questionWords = 64;

export function wordsOf(text: string, limit: number = questionWords): readonly string[] {
  const plain = text.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase();
  return [...new Set(plain.match(/[\p{L}\p{N}]+/gu)?.slice(0, limit) ?? [])];
}
