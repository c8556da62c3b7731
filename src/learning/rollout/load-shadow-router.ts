/** A staged release's router in the background thread, where only its features come from elsewhere. */
import type { Embedder } from "../../embedding/embedder.ts";
import { createKernels } from "../../kernels/create.ts";
import { loadRouter } from "../../routing/load-router.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import { createPause } from "../../std/pause.ts";
import type { Candidate } from "../artifacts/source.ts";

/**
 * Networks that our kernels do not run get a thread of their own, as when serving.
 * @throws GatewayError artifact_refused
 */
export async function loadShadowRouter(
  { identity, files }: Candidate,
  embedder: Embedder,
  clock: Clock,
): Promise<TrainedRouter> {
  const { createOnnxRuntime } = await import("../../embedding/onnx-runtime.ts");
  let runtime: ReturnType<typeof createOnnxRuntime> | undefined;
  const router = await loadRouter(new Map(files), {
    identity,
    embedder,
    extractor: { embedder, extract: () => Promise.reject(new Error("events bring features")) },
    kernels: createKernels,
    openOnnx(bytes) {
      runtime ??= createOnnxRuntime({ clock });
      return runtime.openModel(bytes);
    },
    pause: createPause(clock),
  });
  return {
    ...router,
    close() {
      router.close();
      runtime?.close();
    },
  };
}
