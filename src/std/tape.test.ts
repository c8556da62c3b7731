/** Every operation's gradient against finite differences; the descent against a known minimum. */
import { describe, expect, test } from "bun:test";
import { normalMatrix } from "./matrix.ts";
import { createRandom } from "./random.ts";
import { createTape, descend, type Matrix, type Tape, toMatrix } from "./tape.ts";

const random = createRandom(5);
const draw = (rows: number, columns: number) =>
  toMatrix(normalMatrix(rows, columns, random), rows, columns);

const edges = {
  from: Int32Array.of(0, 2, 1, 2),
  to: Int32Array.of(1, 1, 0, 3),
  weight: Float32Array.of(0.5, -1, 2, 1),
  rows: 4,
};

const cases: [string, readonly Matrix[], (tape: Tape, of: readonly Matrix[]) => Matrix][] = [
  ["times", [draw(3, 5), draw(4, 5)], (tape, [a, w]) => tape.times(a as Matrix, w as Matrix)],
  ["addRow", [draw(3, 5), draw(1, 5)], (tape, [a, b]) => tape.addRow(a as Matrix, b as Matrix)],
  ["add", [draw(3, 5), draw(3, 5)], (tape, [a, b]) => tape.add(a as Matrix, b as Matrix)],
  ["scale", [draw(3, 5)], (tape, [a]) => tape.scale(a as Matrix, -0.7)],
  ["relu", [draw(3, 5)], (tape, [a]) => tape.relu(a as Matrix)],
  ["softplus", [draw(3, 5)], (tape, [a]) => tape.softplus(a as Matrix)],
  ["unitRows", [draw(3, 5)], (tape, [a]) => tape.unitRows(a as Matrix)],
  ["gather", [draw(3, 5)], (tape, [a]) => tape.gather(a as Matrix, Int32Array.of(2, 2, 0))],
  ["aggregate", [draw(3, 5)], (tape, [a]) => tape.aggregate(a as Matrix, edges)],
  [
    "a chain",
    [draw(3, 5), draw(4, 5), draw(2, 4)],
    (tape, [a, w, v]) =>
      tape.times(tape.unitRows(tape.relu(tape.times(a as Matrix, w as Matrix))), v as Matrix),
  ],
];

describe("gradients", () => {
  test.each(cases)("%s", (_, inputs, run) => {
    const tape = createTape();
    const out = run(tape, inputs);
    const weights = normalMatrix(out.rows, out.columns, random);
    out.gradient.set(weights);
    tape.backward();
    const loss = () => {
      const { values } = run(createTape(), inputs);
      return values.reduce((sum, value, i) => sum + value * (weights[i] as number), 0);
    };
    for (const { values, gradient } of inputs) {
      values.forEach((value, i) => {
        const step = 1e-2;
        values[i] = value + step;
        const above = loss();
        values[i] = value - step;
        const below = loss();
        values[i] = value;
        expect(gradient[i] as number).toBeCloseTo((above - below) / (2 * step), 1);
      });
    }
  });
});

test("descent finds a line", () => {
  const n = 200;
  const x = draw(n, 3);
  const truth = [0.5, -1, 2];
  const y = Float32Array.from({ length: n }, (_, row) =>
    truth.reduce((sum, w, i) => sum + w * (x.values[row * 3 + i] as number), 0.25),
  );
  const w = toMatrix(new Float32Array(3), 1, 3);
  const b = toMatrix(new Float32Array(1), 1, 1);
  const options = {
    rows: n,
    rounds: 60,
    batchSize: 20,
    rate: 0.05,
    decay: 0,
    shuffle: () => undefined,
    progress: () => undefined,
  };
  descend([w, b], new Set(), options, (tape, rows) => {
    const out = tape.addRow(tape.times(tape.gather(x, rows), w), b);
    rows.forEach((row, i) => {
      out.gradient[i] = ((out.values[i] as number) - (y[row] as number)) / rows.length;
    });
  });
  for (const [i, value] of truth.entries()) expect(w.values[i]).toBeCloseTo(value, 2);
  expect(b.values[0]).toBeCloseTo(0.25, 2);
});
