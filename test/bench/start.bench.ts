/** The compiled binary: its size, and the time from its start to its first answer. */
import { statSync } from "node:fs";
import { createFolder, installBinary, startGateway } from "../support/binary.ts";
import { defineBench, quantile } from "./bench.ts";

export const startBench = defineBench("start", async ({ size, note }) => {
  const megabytes = statSync(installBinary()).size / 1e6;
  const times: number[] = [];
  for (let run = 0; run < size(2, 21); run++) {
    const folder = createFolder();
    const gateway = await startGateway({
      cwd: folder.path,
      config: {
        model_list: [
          {
            model_name: "m",
            litellm_params: { model: "openai/m", api_base: "http://127.0.0.1:9/v1", api_key: "k" },
          },
        ],
      },
    });
    times.push(gateway.startMs);
    note(`start ${run + 1}: ${gateway.startMs.toFixed(0)} ms`);
    await gateway.stop();
    folder.remove();
  }
  const p50 = quantile(times, 0.5);
  return [
    {
      what: "start to first answer, compiled",
      measured: `p50 ${p50.toFixed(0)} ms, slowest ${Math.max(...times).toFixed(0)} ms`,
      budget: "≤ 120 ms (with re-exec)",
      ok: p50 <= 120,
      detail: `${times.length} starts, polled each 2 ms from the spawn on`,
    },
    {
      what: "size of the executable",
      measured: `${megabytes.toFixed(1)} MB`,
      budget: "≤ 140 MB",
      ok: megabytes <= 140,
    },
  ];
});
