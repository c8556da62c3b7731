/**
 * Other gateways on this machine, beside ours in one run: LiteLLM's proxy and Portkey's gateway, where
 * the operator says that they are there. They are installed for the benchmark only:
 *   python3 -m venv V && V/bin/pip install 'litellm[proxy]'   ROUTEIQ_BENCH_LITELLM=V/bin/litellm
 *   npm i --prefix P @portkey-ai/gateway                      ROUTEIQ_BENCH_PORTKEY=P/node_modules/@portkey-ai/gateway
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { createFolder, freePort } from "../support/binary.ts";
import { type BenchContext, type BenchRow, defineBench, median, skipped } from "./bench.ts";
import { nativeMissing, runLoad } from "./native.ts";
import { cpuUsOfTree, residentMb } from "./process-cost.ts";
import { createBodies, type Subject, startPassThrough, startStub, startSubject } from "./rig.ts";

/** Of a program with a health route; how it is told where to listen and where to call. */
interface Rival {
  readonly name: string;
  /** The variable that says where it is. */
  readonly variable: string;
  readonly health: string;
  /** Header lines that each request needs, before they are ended. */
  readonly lines: (upstreamPort: number) => readonly string[];
  readonly command: (place: string, own: Place) => readonly string[];
}

interface Place {
  readonly port: number;
  readonly upstreamPort: number;
  readonly folder: string;
}

const rivals: readonly Rival[] = [
  {
    name: "LiteLLM",
    variable: "ROUTEIQ_BENCH_LITELLM",
    health: "/health/liveliness",
    lines: () => [],
    command(place, { port, upstreamPort, folder }) {
      const api_base = `http://127.0.0.1:${upstreamPort}/v1`;
      const params = { model: "openai/bench", api_base, api_key: "sk-upstream" };
      const config = {
        model_list: [{ model_name: "bench", litellm_params: params }],
        // Ours asks for no key on loopback either.
        general_settings: { dangerously_permit_weak_or_unset_master_key: true },
      };
      const file = join(folder, "config.yaml");
      writeFileSync(file, stringify(config));
      const listen = ["--host", "127.0.0.1", "--port", String(port), "--num_workers", "1"];
      return [place, "--config", file, ...listen];
    },
  },
  {
    name: "Portkey",
    variable: "ROUTEIQ_BENCH_PORTKEY",
    health: "/",
    lines: (upstreamPort) => [
      "x-portkey-provider: openai",
      `x-portkey-custom-host: http://127.0.0.1:${upstreamPort}/v1`,
    ],
    command: (place, { port }) => [
      "node",
      join(place, "build", "start-server.js"),
      `--port=${port}`,
      "--headless",
    ],
  },
];

interface Measured extends Subject {
  readonly lines: readonly string[];
}

export const rivalsBench = defineBench("rivals", async (context) => {
  const missing = nativeMissing();
  if (missing) return [skipped("beside other gateways", missing)];
  const here = rivals.filter(({ variable }) => process.env[variable]);
  const absent = rivals
    .filter((rival) => !here.includes(rival))
    .map(({ name, variable }) =>
      skipped(`CPU per call, ${name}`, `${variable} does not say where it is`),
    );
  if (here.length === 0) return absent;
  const stub = await startStub({ chunks: 1, gapUs: 1000 });
  const subjects: Measured[] = [];
  try {
    const start = async (subject: Promise<Subject>, lines: readonly string[] = []) =>
      void subjects.push({ ...(await subject), lines });
    await start(startPassThrough(stub.port));
    await start(startSubject({ name: "RouteIQ", upstreamPort: stub.port, observed: true }));
    for (const rival of here) {
      context.note(`starting ${rival.name}`);
      await start(startRival(rival, stub.port), rival.lines(stub.port));
    }
    return [...(await measure(subjects, context)), ...absent];
  } finally {
    await Promise.all(subjects.map((subject) => subject.stop()));
    await stub.stop();
  }
});

const startLimitMs = 180_000;

async function startRival(rival: Rival, upstreamPort: number): Promise<Subject> {
  const folder = createFolder();
  const port = freePort();
  const place = process.env[rival.variable] ?? "";
  const child = Bun.spawn([...rival.command(place, { port, upstreamPort, folder: folder.path })], {
    cwd: folder.path,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder.path },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const stop = async () => {
    child.kill();
    await child.exited;
    folder.remove();
  };
  const end = performance.now() + startLimitMs;
  while (child.exitCode === null && performance.now() < end) {
    const up = await fetch(`http://127.0.0.1:${port}${rival.health}`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (up) return { name: rival.name, port, pid: child.pid, model: "bench", stop };
    await Bun.sleep(200);
  }
  await stop();
  throw new Error(`${rival.name} did not start from ${place}`);
}

/** Of one subject, over the rounds. */
interface Figures {
  readonly cpuUs: number[];
  readonly latencyUs: number[];
  readonly perSecond: number[];
}

/** In turns, so that a busy moment of the machine hits all alike. */
async function measure(
  subjects: readonly Measured[],
  { size, note }: BenchContext,
): Promise<BenchRow[]> {
  const rounds = size(1, 3);
  const figures: Figures[] = subjects.map(() => ({ cpuUs: [], latencyUs: [], perSecond: [] }));
  for (let round = -1; round < rounds; round++) {
    for (const [at, { port, pid, name, lines }] of subjects.entries()) {
      const bodies = createBodies("bench", 256);
      const load = { port, bodies, lines };
      const before = cpuUsOfTree(pid);
      const busy = await runLoad({ ...load, connections: 32, requests: size(200, 600) });
      const cpuUs = (cpuUsOfTree(pid) - before) / busy.completed;
      const alone = await runLoad({ ...load, connections: 1, requests: size(50, 150) });
      if (busy.errors + alone.errors > 0) {
        throw new Error(`${name}: calls failed (${busy.lastBadStatus || alone.lastBadStatus})`);
      }
      if (round < 0) continue; // the first round warms up
      figures[at]?.cpuUs.push(cpuUs);
      figures[at]?.latencyUs.push(alone.latencyUs.p50);
      figures[at]?.perSecond.push(busy.completed / busy.seconds);
      note(`round ${round + 1}/${rounds}, ${name}: ${cpuUs.toFixed(0)} µs a call`);
    }
  }
  const [bare] = figures;
  if (!bare) return [];
  return subjects.slice(1).flatMap((subject, i) => toRows(subject, figures[i + 1] ?? bare, bare));
}

function toRows({ name, pid }: Subject, own: Figures, bare: Figures): BenchRow[] {
  const cpu = median(own.cpuUs);
  const added = median(own.latencyUs) - median(bare.latencyUs);
  return [
    {
      what: `CPU per call, ${name}`,
      measured: `${cpu.toFixed(0)} µs`,
      detail: `${(cpu / median(bare.cpuUs)).toFixed(1)} × the bare pass-through; ${median(own.perSecond).toFixed(0)} calls a second over 32 connections; ${residentMb(pid).toFixed(0)} MB`,
    },
    {
      what: `added latency, ${name}`,
      measured: `${(added / 1000).toFixed(2)} ms`,
      detail: "p50 of one call at a time, less that of the bare pass-through",
    },
  ];
}
