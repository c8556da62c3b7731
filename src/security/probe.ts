/** Whether an address takes a TCP connection: what `fetch` does not tell while it waits. */
import type { Clock } from "../std/clock.ts";

/** True when the connection opens in time; it is closed at once. */
export type Probe = (address: string, port: number, timeoutMs: number) => Promise<boolean>;

export function createProbe(clock: Clock): Probe {
  return (address, port, timeoutMs) =>
    new Promise((resolve) => {
      const cancel = clock.after(timeoutMs, () => resolve(false));
      const settle = (opened: boolean) => {
        cancel();
        resolve(opened);
      };
      Bun.connect({
        hostname: address,
        port,
        socket: {
          open(socket) {
            settle(true);
            socket.end();
          },
          data(socket) {
            socket.end();
          },
          connectError: () => settle(false),
        },
      }).catch(() => settle(false));
    });
}
