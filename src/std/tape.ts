/**
 * Reverse-mode differentiation over dense matrices, for training small models: each operation writes
 * its value and, onto the tape, how a gradient goes back through it.
 * Source: Griewank & Walther, "Evaluating Derivatives", 2008, ch. 3. Row-major f32 throughout.
 */

/** A value on the tape, or a parameter. `gradient` has the value's size and starts at zero. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
  readonly gradient: Float32Array;
}

/** A sparse map of rows: `target[to[e]] += weight[e]·source[from[e]]`. Indices are not checked. */
export interface Edges {
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly weight: Float32Array;
  /** Rows of what it gives. */
  readonly rows: number;
}

export interface Tape {
  /** A·Wᵀ: n×d by k×d to n×k. Cost: n·d·k, twice that on the way back. */
  times(a: Matrix, w: Matrix): Matrix;
  /** A + the row b (1×k), on every row. */
  addRow(a: Matrix, b: Matrix): Matrix;
  add(a: Matrix, b: Matrix): Matrix;
  scale(a: Matrix, factor: number): Matrix;
  relu(a: Matrix): Matrix;
  /** log(1 + eˣ): positive, and straight where x is large. */
  softplus(a: Matrix): Matrix;
  /** Rows to unit length; a row shorter than 1e-6 is divided by that. */
  unitRows(a: Matrix): Matrix;
  gather(a: Matrix, rows: Int32Array): Matrix;
  aggregate(a: Matrix, edges: Edges): Matrix;
  /** Goes back from what has been given a gradient, to every parameter; then the tape is empty. */
  backward(): void;
}

/** A matrix of numbers to learn. */
export function toMatrix(values: Float32Array, rows: number, columns: number): Matrix {
  return { rows, columns, values, gradient: new Float32Array(values.length) };
}

/** What goes in and has no gradient; `times` takes it on its left, nothing else takes it. */
export function toInput(values: Float32Array, rows: number, columns: number): Matrix {
  return { rows, columns, values, gradient: nothing };
}
const nothing = new Float32Array(0);

export function createTape(): Tape {
  const steps: (() => void)[] = [];

  /** The result of an operation; `back` reads its gradient and adds to its inputs'. */
  function record(rows: number, columns: number, back: (out: Matrix) => void): Matrix {
    const out = toMatrix(new Float32Array(rows * columns), rows, columns);
    steps.push(() => back(out));
    return out;
  }

  /** Value by value: `slope` from the input and the output. */
  function map(
    a: Matrix,
    value: (x: number) => number,
    slope: (x: number, y: number) => number,
  ): Matrix {
    const out = record(a.rows, a.columns, ({ values, gradient }) => {
      for (let i = 0; i < values.length; i++) {
        const g = gradient[i] as number;
        if (g !== 0) addAt(a.gradient, i, g * slope(a.values[i] as number, values[i] as number));
      }
    });
    for (let i = 0; i < out.values.length; i++) out.values[i] = value(a.values[i] as number);
    return out;
  }

  return {
    times(a, w) {
      const out = record(a.rows, w.rows, ({ gradient }) => timesBack(a, w, gradient));
      timesForward(a, w, out.values);
      return out;
    },
    addRow(a, b) {
      const out = record(a.rows, a.columns, ({ gradient }) => {
        for (let i = 0; i < gradient.length; i++) {
          addAt(a.gradient, i, gradient[i] as number);
          addAt(b.gradient, i % a.columns, gradient[i] as number);
        }
      });
      out.values.set(a.values);
      for (let i = 0; i < out.values.length; i++) {
        addAt(out.values, i, b.values[i % a.columns] as number);
      }
      return out;
    },
    add(a, b) {
      const out = record(a.rows, a.columns, ({ gradient }) => {
        addTo(a.gradient, gradient, 1);
        addTo(b.gradient, gradient, 1);
      });
      out.values.set(a.values);
      addTo(out.values, b.values, 1);
      return out;
    },
    scale(a, factor) {
      const out = record(a.rows, a.columns, ({ gradient }) => addTo(a.gradient, gradient, factor));
      addTo(out.values, a.values, factor);
      return out;
    },
    relu: (a) =>
      map(
        a,
        (x) => Math.max(0, x),
        (x) => (x > 0 ? 1 : 0),
      ),
    softplus: (a) => map(a, softplus, sigmoid),
    unitRows,
    gather(a, rows) {
      const edges = { from: rows, to: rows.map((_, i) => i), rows: rows.length };
      return aggregate(a, { ...edges, weight: new Float32Array(rows.length).fill(1) });
    },
    aggregate,
    backward() {
      for (let i = steps.length - 1; i >= 0; i--) steps[i]?.();
      steps.length = 0;
    },
  };

  function unitRows(a: Matrix): Matrix {
    const { rows, columns } = a;
    const lengths = new Float32Array(rows);
    const out = record(rows, columns, ({ values, gradient }) => {
      for (let row = 0; row < rows; row++) {
        const at = row * columns;
        let along = 0;
        for (let i = at; i < at + columns; i++) {
          along += (gradient[i] as number) * (values[i] as number);
        }
        const length = lengths[row] as number;
        for (let i = at; i < at + columns; i++) {
          addAt(a.gradient, i, ((gradient[i] as number) - along * (values[i] as number)) / length);
        }
      }
    });
    for (let row = 0; row < rows; row++) {
      let squares = 0;
      const at = row * columns;
      for (let i = at; i < at + columns; i++) squares += (a.values[i] as number) ** 2;
      const length = Math.max(1e-6, Math.sqrt(squares));
      lengths[row] = length;
      for (let i = at; i < at + columns; i++) out.values[i] = (a.values[i] as number) / length;
    }
    return out;
  }

  function aggregate(a: Matrix, { from, to, weight, rows }: Edges): Matrix {
    const { columns } = a;
    const out = record(rows, columns, ({ gradient }) => {
      for (let e = 0; e < from.length; e++) {
        addRowTo(a.gradient, from[e] as number, gradient, to[e] as number, weight[e] as number);
      }
    });
    const addRowTo = rowAdder(columns);
    for (let e = 0; e < from.length; e++) {
      addRowTo(out.values, to[e] as number, a.values, from[e] as number, weight[e] as number);
    }
    return out;
  }
}

function timesForward(a: Matrix, w: Matrix, out: Float32Array): void {
  const { rows, columns: d } = a;
  const k = w.rows;
  for (let row = 0; row < rows; row++) {
    const from = row * d;
    for (let o = 0; o < k; o++) {
      const at = o * d;
      let sum = 0;
      for (let i = 0; i < d; i++) {
        sum += (a.values[from + i] as number) * (w.values[at + i] as number);
      }
      out[row * k + o] = sum;
    }
  }
}

function timesBack(a: Matrix, w: Matrix, gradient: Float32Array): void {
  const { rows, columns: d } = a;
  const k = w.rows;
  const goesOn = a.gradient.length > 0;
  for (let row = 0; row < rows; row++) {
    const from = row * d;
    for (let o = 0; o < k; o++) {
      const g = gradient[row * k + o] as number;
      if (g === 0) continue;
      const at = o * d;
      for (let i = 0; i < d; i++) addAt(w.gradient, at + i, g * (a.values[from + i] as number));
      if (!goesOn) continue;
      for (let i = 0; i < d; i++) addAt(a.gradient, from + i, g * (w.values[at + i] as number));
    }
  }
}

type RowAdder = (
  to: Float32Array,
  toRow: number,
  from: Float32Array,
  fromRow: number,
  factor: number,
) => void;

function rowAdder(columns: number): RowAdder {
  return (to, toRow, from, fromRow, factor) => {
    const target = toRow * columns;
    const source = fromRow * columns;
    for (let i = 0; i < columns; i++) {
      addAt(to, target + i, factor * (from[source + i] as number));
    }
  };
}

function addAt(values: Float32Array, at: number, by: number): void {
  values[at] = (values[at] as number) + by;
}

function addTo(values: Float32Array, by: Float32Array, factor: number): void {
  for (let i = 0; i < by.length; i++) addAt(values, i, factor * (by[i] as number));
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function softplus(x: number): number {
  return x > 30 ? x : Math.log1p(Math.exp(x));
}

export interface DescentOptions {
  readonly rows: number;
  readonly rounds: number;
  readonly batchSize: number;
  /** Adam's first step size; it falls to a tenth along a cosine. */
  readonly rate: number;
  /** Decoupled weight decay. */
  readonly decay: number;
  /** Order of the rows in a round, in place. */
  readonly shuffle: (rows: Int32Array) => void;
  readonly progress: (share: number) => void;
}

/**
 * Adam with decoupled weight decay over batches. `batch` computes on a fresh tape and leaves
 * gradients in the parameters; it does not go back itself.
 * Sources: Kingma & Ba, "Adam", 2015; Loshchilov & Hutter, "Decoupled weight decay", 2019.
 * @param decayed which of the parameters shrink; the rest (biases) do not
 */
export function descend(
  parameters: readonly Matrix[],
  decayed: ReadonlySet<Matrix>,
  options: DescentOptions,
  batch: (tape: Tape, rows: Int32Array) => void,
): void {
  const moments = parameters.map(({ values }) => ({
    first: new Float32Array(values.length),
    second: new Float32Array(values.length),
  }));
  const order = Int32Array.from({ length: options.rows }, (_, row) => row);
  const tape = createTape();
  let steps = 0;
  for (let round = 0; round < options.rounds; round++) {
    options.shuffle(order);
    const rate = options.rate * (0.55 + 0.45 * Math.cos((Math.PI * round) / options.rounds));
    for (let from = 0; from < order.length; from += options.batchSize) {
      batch(tape, order.subarray(from, from + options.batchSize));
      tape.backward();
      steps++;
      const scale = { first: 1 - 0.9 ** steps, second: 1 - 0.999 ** steps, rate };
      parameters.forEach((parameter, at) => {
        const decay = decayed.has(parameter) ? options.decay : 0;
        step(parameter, moments[at] as (typeof moments)[number], scale, decay);
      });
    }
    options.progress((round + 1) / options.rounds);
  }
}

function step(
  { values, gradient }: Matrix,
  { first, second }: { readonly first: Float32Array; readonly second: Float32Array },
  scale: { readonly first: number; readonly second: number; readonly rate: number },
  decay: number,
): void {
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i] as number;
    const a = 0.9 * (first[i] as number) + 0.1 * g;
    const b = 0.999 * (second[i] as number) + 0.001 * g * g;
    first[i] = a;
    second[i] = b;
    const move = a / scale.first / (Math.sqrt(b / scale.second) + 1e-8);
    const value = values[i] as number;
    values[i] = value - scale.rate * (move + decay * value);
    gradient[i] = 0;
  }
}
