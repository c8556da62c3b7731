/**
 * What an imported pipeline does to an embedding before its classifier: scaling, norms, projections,
 * in double precision as the original does it. Numbers per feature stand in JSON, which keeps doubles.
 */
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { GatewayError } from "../../../domain/errors.ts";
import type { Kernels } from "../../../kernels/kernels.ts";
import { type Tensors, takeF32 } from "../../safetensors.ts";

const Doubles = Type.Array(Type.Number(), { maxItems: 8192 });

/** In order. */
const Step = Type.Union([
  /** (x − shift) / scale, then kept within `clip`. */
  Type.Object({
    kind: Type.Literal("scale"),
    shift: Doubles,
    scale: Doubles,
    clip: Type.Optional(Type.Tuple([Type.Number(), Type.Number()])),
  }),
  /** To unit length; a vector of zeros stays. */
  Type.Object({
    kind: Type.Literal("norm"),
    norm: Type.Union([Type.Literal("l1"), Type.Literal("l2"), Type.Literal("max")]),
  }),
  /** Matrix·(x − shift), each row over its scale; the matrix is tensor `step.<number>`. */
  Type.Object({ kind: Type.Literal("project"), shift: Doubles, scale: Doubles }),
]);
export type ImportedStep = Static<typeof Step>;

const mostSteps = 8;

export interface Steps {
  /** Length of what comes out. */
  readonly d: number;
  /** Where it comes out, in the kernels' memory (f64), and as a view. */
  readonly at: number;
  readonly x: Float64Array;
  apply(embedding: Float32Array): void;
}

/** What `loadSteps` allocates, at most. */
export function stepsBytes(tensors: Tensors, d: number): number {
  let bytes = 0;
  for (const [name, { values }] of Object.entries(tensors)) {
    if (name.startsWith("step.")) bytes += values.byteLength + 16;
  }
  return bytes + (mostSteps + 1) * (d * 8 + 16);
}

/** @throws GatewayError artifact_refused when the steps do not fit each other. */
export function loadSteps(
  {
    json,
    tensors,
  }: { readonly json: Readonly<Record<string, unknown>>; readonly tensors: Tensors },
  d: number,
  kernels: Kernels,
): Steps {
  const list: unknown = json["steps"];
  if (!Array.isArray(list) || list.length > mostSteps || !list.every((s) => Value.Check(Step, s))) {
    return refuse("the steps before the classifier are not sound");
  }
  const first = kernels.alloc(d * 8);
  let at = first;
  let width = d;
  const work: (() => void)[] = [];
  (list as readonly ImportedStep[]).forEach((step, number) => {
    const x = kernels.f64(at, width);
    if (step.kind === "norm") {
      work.push(() => normalize(x, step.norm));
      return;
    }
    if (step.shift.length !== width) refuse("a step is of another length than what it is given");
    if (step.kind === "scale") {
      if (step.scale.length !== width) refuse("a step is of another length than what it is given");
      work.push(() => rescale(x, step));
      return;
    }
    const rows = step.scale.length;
    const matrix = takeF32(tensors, `step.${number}`, [rows, width]);
    const matrixAt = kernels.alloc(matrix.byteLength);
    kernels.f32(matrixAt, matrix.length).set(matrix);
    const from = at;
    const columns = width;
    at = kernels.alloc(rows * 8);
    width = rows;
    const to = at;
    const out = kernels.f64(to, rows);
    work.push(() => {
      for (let i = 0; i < columns; i++) x[i] = (x[i] as number) - (step.shift[i] as number);
      kernels.matvecWide(matrixAt, from, to, rows, columns);
      for (let i = 0; i < rows; i++) out[i] = (out[i] as number) / (step.scale[i] as number);
    });
  });
  const input = kernels.f64(first, d);
  return {
    d: width,
    at,
    x: kernels.f64(at, width),
    apply(embedding) {
      input.set(embedding);
      for (const step of work) step();
    },
  };
}

function rescale(x: Float64Array, { shift, scale, clip }: ImportedStep & { kind: "scale" }): void {
  for (let i = 0; i < x.length; i++) {
    const value = ((x[i] as number) - (shift[i] as number)) / (scale[i] as number);
    x[i] = clip ? Math.max(clip[0], Math.min(clip[1], value)) : value;
  }
}

function normalize(x: Float64Array, norm: "l1" | "l2" | "max"): void {
  let size = 0;
  for (const value of x) {
    if (norm === "l2") size += value * value;
    else size = norm === "l1" ? size + Math.abs(value) : Math.max(size, Math.abs(value));
  }
  if (norm === "l2") size = Math.sqrt(size);
  if (size === 0) return;
  for (let i = 0; i < x.length; i++) x[i] = (x[i] as number) / size;
}

function refuse(why: string): never {
  throw new GatewayError("artifact_refused", `imported router: ${why}`);
}
