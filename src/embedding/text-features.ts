/**
 * Lexical and shape features of a query, fast: ASCII text is read by the kernels, all other text (and
 * a runtime without SIMD) by lexical.ts and shape.ts, which define both. The answers are the same.
 */
import type { Kernels, TextKernels } from "../kernels/kernels.ts";
import { createLexicalExtractor, folded, lexicalLimits, mostBuckets, toWindow } from "./lexical.ts";
import { kindOf, kinds, shapeNames, toShape } from "./shape.ts";

/** Features of a text and its tools, packed (domain/features.ts). */
export interface TextExtractor {
  /** What stands in front of the next features: whoever embeds the text writes it here, or into them. */
  readonly embedding: Float32Array;
  /** Of a text and its tools: their number, and `toToolText` of them. */
  read(text: string, tools: number, toolText: string): Uint8Array<ArrayBuffer>;
}

const windowUnits = lexicalLimits.headUnits + lexicalLimits.tailUnits + 1;
/** UTF-8 of so many UTF-16 units, and the zeroes that must follow. */
const windowBytes = windowUnits * 3 + 16;
const toolBytes = (lexicalLimits.toolUnits + 256) * 3 + 16;
const shapeBytes = shapeNames.length * 4;

/**
 * An extractor with memory of its own (300 KB), for an embedder of so many dimensions.
 * Cost: about 3 ns per unit of text.
 */
export function createTextExtractor(
  create: (bytes: number) => Kernels,
  dimensions: number,
): TextExtractor {
  const outBytes = dimensions * 4 + shapeBytes + mostBuckets * 3;
  const kernels = create(
    windowBytes + toolBytes + outBytes + 1152 + windowUnits * 4 + 64 + mostBuckets * 4 + 2048 + 256,
  );
  const outAt = kernels.alloc(outBytes);
  const embedding = kernels.f32(outAt, dimensions);
  const slow = createSlow(embedding);
  const read = kernels.text ? createFast(kernels, kernels.text, outAt, dimensions, slow) : slow;
  return { embedding, read };
}

function createFast(
  kernels: Kernels,
  text: TextKernels,
  outAt: number,
  dimensions: number,
  slow: TextExtractor["read"],
): TextExtractor["read"] {
  const windowAt = kernels.alloc(windowBytes);
  const windowView = kernels.u8(windowAt, windowBytes);
  const toolsAt = kernels.alloc(toolBytes);
  const toolsView = kernels.u8(toolsAt, toolBytes);
  const foldsAt = kernels.alloc(128);
  kernels.u8(foldsAt, 128).set(folded);
  const kindsAt = kernels.alloc(128 * 8);
  const counted = kernels.u8(kindsAt, 128 * 8);
  for (let unit = 0; unit < 128; unit++) {
    for (const at of countsOf(unit)) counted[unit * 8 + at] = 1;
  }
  const logsAt = kernels.alloc((windowUnits + 1) * 4);
  kernels.f32(logsAt, windowUnits + 1).forEach((_, count, logs) => {
    logs[count] = Math.log1p(count);
  });
  const listAt = kernels.alloc(mostBuckets * 2);
  const sortedAt = kernels.alloc(mostBuckets * 2);
  const headsAt = kernels.alloc(2048);
  const layout = kernels.alloc(9 * 4);
  const shapeAt = outAt + dimensions * 4;
  kernels
    .i32(layout, 9)
    .set([windowAt, toolsAt, foldsAt, logsAt, listAt, sortedAt, headsAt, shapeAt, kindsAt]);
  const out = kernels.u8(outAt, dimensions * 4 + shapeBytes + mostBuckets * 3);
  const encoder = new TextEncoder();

  return (query, tools, toolText) => {
    const window = toWindow(query);
    // As many bytes as units: every one is ASCII.
    const { written } = encoder.encodeInto(window, windowView);
    if (written !== window.length) return slow(query, tools, toolText);
    const toolLength = toolText === "" ? 0 : encoder.encodeInto(toolText, toolsView).written;
    if (toolLength !== toolText.length) return slow(query, tools, toolText);
    const distinct = text.readText(
      layout,
      written,
      toolLength,
      Math.log1p(query.length),
      Math.log1p(tools),
      Math.log1p(toolLength),
    );
    return out.slice(0, dimensions * 4 + shapeBytes + distinct * 3);
  };
}

/** The counts that an ASCII unit belongs to, by their byte in the kernel's sums. */
function countsOf(unit: number): number[] {
  const kind = kinds[unit] as number;
  const at = { digits: 0, operators: 1, upper: 2, questions: 3, marks: 4, lines: 5, code: 6 };
  const letter = 7;
  if (kind === kindOf.digit) return [at.digits, letter];
  if (kind === kindOf.upper) return [at.upper, letter];
  if (kind === kindOf.lower) return [letter];
  if (unit === 10) return [at.lines];
  if (kind === kindOf.space) return [];
  if (kind === kindOf.operator) return [at.operators, at.marks];
  if (kind === kindOf.codeMark) return [at.code, at.marks];
  return unit === 63 ? [at.questions, at.marks] : [at.marks];
}

/** By definition. */
function createSlow(embedding: Float32Array): TextExtractor["read"] {
  const read = createLexicalExtractor();
  return (text, tools, toolText) => {
    const { buckets, counts } = read(text, toolText);
    const shape = toShape(text, toWindow(text), tools, toolText.length);
    const bucketsAt = embedding.byteLength + shape.byteLength;
    const packed = new Uint8Array(bucketsAt + buckets.length * 3);
    const floats = new Float32Array(packed.buffer, 0, bucketsAt / 4);
    floats.set(embedding);
    floats.set(shape, embedding.length);
    new Uint16Array(packed.buffer, bucketsAt, buckets.length).set(buckets);
    packed.set(counts, bucketsAt + buckets.length * 2);
    return packed;
  };
}
