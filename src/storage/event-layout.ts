/**
 * How one event lies in bytes: measures at fixed places, names by their number in the batch's dictionary,
 * the call's own texts behind them. Packing makes no objects and formats no numbers, which is what
 * the serving thread can afford; whoever reads pays.
 *
 * A record starts at a multiple of 8 and is as many bytes long; little endian:
 *   u32 × 16    its length, flags, lengths of texts and arrays (`word`)
 *   u16 × 20    names and counts (`name`)
 *   f64 × 26    measures (`measure`); NaN where there is none
 *   attempts    u16 × 8, f64 × 3 each
 *   candidates  u16 × 4, f64 × 7 each
 *   neighbours  f64 × 2 each
 *   arrays      embedding, shape (f32), lexical buckets (u16), lexical counts (u8)
 *   texts       UTF-8, in the order of their lengths; ids of a trace before them
 */
/** Memory that records lie in, seen in five ways. */
export interface Page {
  readonly bytes: Buffer;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
}

/** @param memory a multiple of 8 long */
export function toPage(memory: ArrayBufferLike): Page {
  return {
    bytes: Buffer.from(memory as ArrayBuffer),
    u16: new Uint16Array(memory),
    u32: new Uint32Array(memory),
    f32: new Float32Array(memory),
    f64: new Float64Array(memory),
  };
}

export const word = {
  size: 0,
  flags: 1,
  callId: 2,
  requestId: 3,
  queryHash: 4,
  sessionHash: 5,
  prompt: 6,
  text: 7,
  toolText: 8,
  session: 9,
  rest: 10,
  embedding: 11,
  shape: 12,
  buckets: 13,
  counts: 14,
  toolCount: 15,
  userHash: 16,
  user: 17,
} as const;
export const words = 18;

export const name = {
  tenant: 0,
  caller: 1,
  requestedModel: 2,
  operation: 3,
  outcome: 4,
  deployment: 5,
  error: 6,
  finishReason: 7,
  strategy: 8,
  artifact: 9,
  reason: 10,
  chosen: 11,
  floorModel: 12,
  embedder: 13,
  attempts: 14,
  candidates: 15,
  /** One more than there are; 0 where the decision has none. */
  neighbours: 16,
  /** 0 where no draw decided. */
  explorationMode: 17,
  greedy: 18,
  /** 0 where no conversation was met. */
  stayModel: 19,
} as const;
export const names = 20;

export const measure = {
  atMs: 0,
  decisionUs: 1,
  overheadUs: 2,
  firstTokenMs: 3,
  totalMs: 4,
  costMicroUsd: 5,
  countedTokens: 6,
  queryLength: 7,
  inputTokens: 8,
  outputTokens: 9,
  cachedInputTokens: 10,
  cacheWriteTokens: 11,
  reasoningTokens: 12,
  tradeoff: 13,
  floorShare: 14,
  novelty: 15,
  decidedUs: 16,
  queuedMs: 17,
  floorViolations: 18,
  latencyWeight: 19,
  draw: 20,
  explorationRate: 21,
  explorationWidth: 22,
  explorationArms: 23,
  online: 24,
  lostUsd: 25,
} as const;
export const measures = 26;

export const flag = {
  stream: 1,
  decision: 2,
  usage: 4,
  estimated: 8,
  notEstimated: 16,
  trace: 32,
  parent: 64,
  sampled: 128,
  /** The request's id is the call's. */
  sameId: 256,
  dial: 512,
  features: 1024,
  unread: 2048,
  extract: 4096,
  keep: 8192,
  /** Prompt and text are in JSON: they hold what UTF-8 has no bytes for. */
  escaped: 16_384,
  /** The answer's form was looked at: of a tool's call, else of JSON; and it was as asked for. */
  form: 32_768,
  toolForm: 65_536,
  formValid: 131_072,
} as const;

export const fixedBytes = words * 4 + names * 2 + measures * 8;
export const attemptBytes = 40;
export const candidateBytes = 64;
export const neighbourBytes = 16;
export const traceBytes = 64;
