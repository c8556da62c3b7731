/**
 * A made-up world with known truth: queries have features, models have qualities that depend on
 * them, a logging policy explores, and only the drawn model's answer is graded.
 */
import {
  asServed,
  type LoggedRows,
  type Policy,
} from "../../src/learning/off-policy/estimators.ts";
import { createRandom, nextInt, nextNormal, type Random } from "../../src/std/random.ts";

export interface World {
  readonly d: number;
  readonly m: number;
  /** m: chance of a good answer for features x. */
  chances(x: Float32Array): Float64Array;
}

/** Picks a model for a query. */
export type Pick = (chances: Float64Array, x: Float32Array) => number;

export function createWorld(seed: number, m = 4, d = 6): World {
  const random = createRandom(seed);
  const weights = Float64Array.from({ length: m * d }, () => 0.8 * nextNormal(random));
  const levels = Float64Array.from({ length: m }, (_, j) => 0.3 * j - 0.2);
  return {
    d,
    m,
    chances: (x) =>
      Float64Array.from({ length: m }, (_, j) => {
        let z = levels[j] as number;
        for (let i = 0; i < d; i++) z += (weights[j * d + i] as number) * (x[i] as number) * 2;
        return 1 / (1 + Math.exp(-z));
      }),
  };
}

export interface LogOptions {
  readonly n: number;
  readonly exploration: number;
  /** Calls per session; their rewards share a mood. */
  readonly perSession?: number;
  readonly incumbent: Pick;
}

export interface WorldLog {
  readonly rows: LoggedRows;
  readonly x: Float32Array;
  policyOf(pick: Pick): Policy;
  readonly served: Policy;
}

/** ε-greedy logs of a world: the incumbent's pick, or with a share of chance any model. */
export function logWorld(world: World, options: LogOptions, random: Random): WorldLog {
  const { n, exploration, perSession = 1, incumbent } = options;
  const { d, m } = world;
  const x = new Float32Array(n * d);
  const action = new Int32Array(n);
  const propensity = new Float64Array(n);
  const reward = new Float64Array(n);
  const probability = new Float64Array(n * m);
  const chances: Float64Array[] = [];
  let mood = 0;
  for (let row = 0; row < n; row++) {
    if (row % perSession === 0) mood = perSession > 1 ? 0.2 * (random.next() - 0.5) : 0;
    const query = x.subarray(row * d, (row + 1) * d);
    for (let i = 0; i < d; i++) query[i] = nextNormal(random) / Math.sqrt(d);
    const own = world.chances(query);
    chances.push(own);
    const before = incumbent(own, query);
    for (let j = 0; j < m; j++) {
      probability[row * m + j] = exploration / m + (j === before ? 1 - exploration : 0);
    }
    const drawn = random.next() < exploration ? nextInt(random, m) : before;
    action[row] = drawn;
    propensity[row] = probability[row * m + drawn] as number;
    reward[row] = random.next() < (own[drawn] as number) + mood ? 1 : 0;
  }
  const session = Int32Array.from({ length: n }, (_, row) => Math.floor(row / perSession));
  return {
    rows: { n, m, action, propensity, reward, session },
    x,
    policyOf(pick) {
      const choice = Int32Array.from(chances, (own, row) =>
        pick(own, x.subarray(row * d, (row + 1) * d)),
      );
      return {
        choice,
        probability: Float64Array.from(choice, (j, row) => probability[row * m + j] as number),
      };
    },
    served: { choice: new Int32Array(n).fill(asServed), probability: new Float64Array(n).fill(1) },
  };
}

/** A policy's worth over the whole world, by many queries. */
export function worthOf(world: World, pick: Pick, queries = 40_000): number {
  const random = createRandom(991);
  const { d } = world;
  let sum = 0;
  const x = new Float32Array(d);
  for (let i = 0; i < queries; i++) {
    for (let k = 0; k < d; k++) x[k] = nextNormal(random) / Math.sqrt(d);
    const chances = world.chances(x);
    sum += chances[pick(chances, x)] as number;
  }
  return sum / queries;
}

export const best: Pick = (chances) => chances.indexOf(Math.max(...chances));
export const always =
  (model: number): Pick =>
  () =>
    model;
