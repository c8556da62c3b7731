/** One-against-one decisions to one score per class, as libsvm and scikit-learn make them. */

/** (0,1), (0,2) … (1,2) …: the order of the decisions. */
export function pairsOf(m: number): readonly (readonly [number, number])[] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < m; i++) for (let j = i + 1; j < m; j++) pairs.push([i, j]);
  return pairs;
}

interface Platt {
  readonly probA: readonly number[];
  readonly probB: readonly number[];
  readonly m: number;
}

/** libsvm keeps a pair's probability this far from certainty. */
const leastProbability = 1e-7;

/**
 * Platt's probability of each pair, coupled to one per class by libsvm's iteration, which stops
 * early; so that the same steps are taken here, and the same number of them.
 */
export function coupleProbabilities(
  decisions: Float64Array,
  { probA, probB, m }: Platt,
  to: Float32Array,
): void {
  const r = new Float64Array(m * m);
  let pair = 0;
  for (let i = 0; i < m; i++) {
    for (let j = i + 1; j < m; j++, pair++) {
      const fApB = (decisions[pair] as number) * (probA[pair] as number) + (probB[pair] as number);
      const raw = fApB >= 0 ? Math.exp(-fApB) / (1 + Math.exp(-fApB)) : 1 / (1 + Math.exp(fApB));
      const kept = Math.min(Math.max(raw, leastProbability), 1 - leastProbability);
      r[i * m + j] = kept;
      r[j * m + i] = 1 - kept;
    }
  }
  to.set(iterate(r, m));
}

function iterate(r: Float64Array, m: number): Float64Array {
  const at = (matrix: Float64Array, i: number, j: number) => matrix[i * m + j] as number;
  const q = new Float64Array(m * m);
  for (let t = 0; t < m; t++) {
    for (let j = 0; j < m; j++) {
      if (j === t) continue;
      q[t * m + t] = at(q, t, t) + at(r, j, t) ** 2;
      q[t * m + j] = -at(r, j, t) * at(r, t, j);
    }
  }
  const p = new Float64Array(m).fill(1 / m);
  const qp = new Float64Array(m);
  const tolerance = 0.005 / m;
  for (let round = 0; round < Math.max(100, m); round++) {
    let pqp = 0;
    for (let t = 0; t < m; t++) {
      qp[t] = 0;
      for (let j = 0; j < m; j++) qp[t] = (qp[t] as number) + at(q, t, j) * (p[j] as number);
      pqp += (p[t] as number) * (qp[t] as number);
    }
    if (qp.every((value) => Math.abs(value - pqp) < tolerance)) break;
    for (let t = 0; t < m; t++) {
      const diagonal = at(q, t, t);
      const step = (pqp - (qp[t] as number)) / diagonal;
      p[t] = (p[t] as number) + step;
      pqp = (pqp + step * (step * diagonal + 2 * (qp[t] as number))) / (1 + step) / (1 + step);
      for (let j = 0; j < m; j++) {
        qp[j] = ((qp[j] as number) + step * at(q, t, j)) / (1 + step);
        p[j] = (p[j] as number) / (1 + step);
      }
    }
  }
  return p;
}

/**
 * scikit-learn's decision per class: its votes, and less than a third of a vote for how clear they
 * were; moved from (−1/3, m − 2/3) to 0..1.
 */
export function countVotes(decisions: Float64Array, m: number, to: Float32Array): void {
  const votes = new Float64Array(m);
  const clear = new Float64Array(m);
  let pair = 0;
  for (let i = 0; i < m; i++) {
    for (let j = i + 1; j < m; j++, pair++) {
      const decision = decisions[pair] as number;
      clear[i] = (clear[i] as number) + decision;
      clear[j] = (clear[j] as number) - decision;
      const winner = decision < 0 ? j : i;
      votes[winner] = (votes[winner] as number) + 1;
    }
  }
  for (let i = 0; i < m; i++) {
    const sum = clear[i] as number;
    const decision = (votes[i] as number) + sum / (3 * (Math.abs(sum) + 1));
    to[i] = (decision + 1 / 3) / (m - 1 + 2 / 3);
  }
}
