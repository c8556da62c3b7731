/** The benchmarks, in the order of the table. */
import type { Bench } from "./bench.ts";
import { callsBench } from "./calls.bench.ts";
import { kernelsBench } from "./kernels.bench.ts";
import { learningBench } from "./learning.bench.ts";
import { observationBench } from "./observation.bench.ts";
import { rivalsBench } from "./rivals.bench.ts";
import { startBench } from "./start.bench.ts";
import { strategiesBench } from "./strategies.bench.ts";
import { streamsBench } from "./streams.bench.ts";
import { swapBench } from "./swap.bench.ts";
import { vectorsBench } from "./vectors.bench.ts";
import { wireBench } from "./wire.bench.ts";

export const benches: readonly Bench[] = [
  kernelsBench,
  strategiesBench,
  callsBench,
  streamsBench,
  observationBench,
  wireBench,
  swapBench,
  startBench,
  learningBench,
  vectorsBench,
  rivalsBench,
];
