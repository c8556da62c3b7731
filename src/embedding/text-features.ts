/**
 * Lexical and shape features of a query, fast: ASCII text is read by the kernels, all other text (and
 * a runtime without SIMD) by lexical.ts and shape.ts, which define both. The answers are the same.
 */
import type { Kernels, TextKernels } from "../kernels/kernels.ts";
import {
  createLexicalExtractor,
  folded,
  type LexicalFeatures,
  lexicalBuckets,
  lexicalLimits,
  toWindow,
} from "./lexical.ts";
import { finishShape, kinds, type ShapeContext, toShape } from "./shape.ts";

export interface TextFeatures extends LexicalFeatures {
  readonly shape: Float32Array;
}

/** Of a text and its tools: their number, and `toToolText` of them. */
export type TextExtractor = (text: string, tools: number, toolText: string) => TextFeatures;

const windowUnits = lexicalLimits.headUnits + lexicalLimits.tailUnits + 1;
/** UTF-8 of so many UTF-16 units, and the zeroes that must follow. */
const windowBytes = windowUnits * 3 + 16;
const toolBytes = (lexicalLimits.toolUnits + 256) * 3 + 16;
/** More than a window and its tools can have: a word and a pair per two units, a gram per unit. */
const mostBuckets = 16_384;

/** An extractor with memory of its own (300 KB). Cost: about 3 ns per unit of text. */
export function createTextExtractor(create: (bytes: number) => Kernels): TextExtractor {
  const slow = createLexicalExtractor();
  const byDefinition: TextExtractor = (text, tools, toolText) => ({
    ...slow(text, toolText),
    shape: toShape(text, toWindow(text), tools, toolText.length),
  });
  const kernels = create(
    windowBytes * 2 + toolBytes + lexicalBuckets * 1.125 + mostBuckets * 3 + 256 + 64 + 20 * 16,
  );
  return kernels.text ? createFast(kernels, kernels.text, byDefinition) : byDefinition;
}

function createFast(kernels: Kernels, text: TextKernels, slow: TextExtractor): TextExtractor {
  const windowAt = kernels.alloc(windowBytes);
  const windowView = kernels.u8(windowAt, windowBytes);
  const toolsAt = kernels.alloc(toolBytes);
  const toolsView = kernels.u8(toolsAt, toolBytes);
  const stream = kernels.alloc(windowBytes);
  const counts = kernels.alloc(lexicalBuckets);
  const touched = kernels.alloc(lexicalBuckets / 8);
  const outBuckets = kernels.alloc(mostBuckets * 2);
  const bucketsView = new Uint16Array(kernels.memory, outBuckets, mostBuckets);
  const outCounts = kernels.alloc(mostBuckets);
  const countsView = kernels.u8(outCounts, mostBuckets);
  const shapeAt = kernels.alloc(11 * 4);
  const shapeView = kernels.i32(shapeAt, 11);
  const fold = storeTable(kernels, folded);
  const kindsAt = storeTable(kernels, kinds);
  const encoder = new TextEncoder();

  function shapeOf(window: string, length: number, context: ShapeContext): Float32Array {
    windowView[length] = 0;
    windowView[length + 1] = 0;
    text.shapeAscii(windowAt, length, kindsAt, shapeAt);
    const at = (i: number) => shapeView[i] as number;
    const count = {
      digits: at(0),
      upper: at(1),
      marks: at(2),
      wide: 0,
      lines: at(3),
      numbers: at(4),
      words: at(5),
      letters: at(6),
      operators: at(7),
      codeMarks: at(8),
      questions: at(9),
      options: at(10),
    };
    return finishShape(count, window, context);
  }

  return (query, tools, toolText) => {
    const window = toWindow(query);
    // As many bytes as units: every one is ASCII.
    const { written } = encoder.encodeInto(window, windowView);
    if (written !== window.length) return slow(query, tools, toolText);
    const toolLength = toolText === "" ? 0 : encoder.encodeInto(toolText, toolsView).written;
    if (toolLength !== toolText.length) return slow(query, tools, toolText);
    const length = text.foldAscii(windowAt, written, fold, stream);
    const grams = Math.min(length, lexicalLimits.gramUnits);
    text.countWords(stream, length, grams, counts, touched);
    if (toolLength > 0) text.countTools(toolsAt, toolLength, fold, counts, touched);
    const distinct = text.takeCounts(counts, touched, outBuckets, outCounts);
    const context = { textUnits: query.length, tools, toolUnits: toolText.length };
    return {
      buckets: bucketsView.slice(0, distinct),
      counts: countsView.slice(0, distinct),
      shape: shapeOf(window, written, context),
    };
  };
}

function storeTable(kernels: Kernels, table: Uint8Array): number {
  const at = kernels.alloc(table.length);
  kernels.u8(at, table.length).set(table);
  return at;
}
