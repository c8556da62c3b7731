/** Entry of the ONNX thread: started by onnx-runtime.ts when a model needs it, not before. */
import { type Port, serveRpc } from "../std/rpc.ts";
import type { OnnxService } from "./onnx-thread.ts";

export interface OnnxApi {
  readonly onnx: OnnxService;
}

declare const self: {
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
};

const port: Port = {
  post: (message, transfer = []) => self.postMessage(message, transfer),
  listen: (onMessage) => self.addEventListener("message", (event) => onMessage(event.data)),
};

serveRpc<OnnxApi>(port, {
  async onnx() {
    const { createOnnxThread } = await import("./onnx-thread.ts");
    return createOnnxThread();
  },
});
