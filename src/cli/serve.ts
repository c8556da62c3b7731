/** `routeiq serve`: the gateway on a port, until a signal ends it. */
import { defineCommand } from "./command.ts";
import { reExec } from "./re-exec.ts";

export const serveCommand = defineCommand({
  name: "serve",
  summary: "Serve the gateway. What runs when no command is named.",
  flags: {
    config: { description: "The configuration, LiteLLM's YAML.", value: "FILE", short: "c" },
    host: { description: "Address to listen on. Default 127.0.0.1.", value: "HOST" },
    port: {
      description: "Port to listen on; 0 takes a free one. Default 4000.",
      value: "PORT",
      short: "p",
    },
    "data-dir": { description: "Where state is kept. Default ./.routeiq.", value: "FOLDER" },
    workers: { description: "Processes that share the port. Default 1.", value: "N" },
  },
  example: "routeiq serve --config config.yaml --port 4000",
  async run(context) {
    // Before anything is loaded, because the process starts over. It comes back here only where
    // that is not possible, or was done.
    const failure = reExec(context.env, process.argv.slice(2));
    if (failure) context.out.note(`routeiq: at most 256 upstream requests at once: ${failure}`);
    const { serve } = await import("./serve-gateway.ts");
    return serve(context);
  },
});
