/**
 * Tells when files change, however they are changed: written in place, replaced by a rename as
 * editors do, or behind a symbolic link that is swapped, as Kubernetes mounts configuration. The
 * system's own events make it quick; a look at every interval makes it sure, where there are none.
 */
import { watch } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../std/clock.ts";

export interface FileWatch {
  /** What is there now is known: only what changes after it is told. */
  settle(): Promise<void>;
  close(): void;
}

export interface FileWatchOptions {
  /** Asked at each look: a reload may have brought others. */
  readonly paths: () => readonly string[];
  readonly intervalMs: number;
  /** Told once files have come to rest. The next look waits for it. */
  readonly onChange: () => Promise<void>;
  readonly clock: Clock;
  /** For tests: what a file is at this moment, as a text that differs when it does. */
  readonly signatureOf?: (path: string) => Promise<string>;
  /** Calls back at each of the system's events in a folder; answers how to stop. */
  readonly watchFolder?: (folder: string, onEvent: () => void) => () => void;
}

/** Two looks this far apart that see the same: whoever writes has finished. */
const restMs = 150;
/** Events come in bursts: one look for all of them. */
const burstMs = 50;
/** A file that never comes to rest is read all the same. */
const restlessLooks = 20;

export function watchFiles(options: FileWatchOptions): FileWatch {
  const { paths, intervalMs, onChange, clock } = options;
  const { signatureOf = signatureOfFile, watchFolder = watchFolderOfSystem } = options;
  const folders = new Map<string, () => void>();
  let known: string | undefined;
  let closed = false;
  let running: Promise<void> | undefined;
  let wanted = false;
  let bursting = false;
  let cancel: () => void = () => undefined;

  const signature = async () => {
    const parts = await Promise.all(paths().map(signatureOf));
    return parts.join("\n");
  };

  async function look(): Promise<void> {
    watchFolders();
    const seen = await signature();
    known ??= seen;
    if (seen === known || closed) return;
    known = await atRest(seen);
    if (!closed) await onChange();
  }

  async function atRest(first: string): Promise<string> {
    let last = first;
    for (let i = 0; i < restlessLooks && !closed; i++) {
      await new Promise<void>((resolve) => clock.after(restMs, resolve));
      const next = await signature();
      if (next === last) return next;
      last = next;
    }
    return last;
  }

  /** One look at a time; whoever asks during one gets another after it. */
  function soon(): void {
    if (closed) return;
    if (running) {
      wanted = true;
      return;
    }
    cancel();
    running = look()
      .catch(() => undefined) // a file that cannot be looked at is looked at again
      .finally(() => {
        running = undefined;
        if (closed) return;
        if (wanted) {
          wanted = false;
          soon();
        } else cancel = clock.after(intervalMs, soon);
      });
  }

  function afterBurst(): void {
    if (closed || bursting) return;
    bursting = true;
    clock.after(burstMs, () => {
      bursting = false;
      soon();
    });
  }

  function watchFolders(): void {
    const now = new Set(paths().map((path) => dirname(path)));
    for (const [folder, stop] of folders) {
      if (now.has(folder)) continue;
      stop();
      folders.delete(folder);
    }
    for (const folder of now) {
      if (!folders.has(folder)) folders.set(folder, watchFolder(folder, afterBurst));
    }
  }

  soon();
  return {
    async settle() {
      known = await signature();
    },
    close() {
      closed = true;
      cancel();
      for (const stop of folders.values()) stop();
      folders.clear();
    },
  };
}

/** Where its links lead, which file that is, its length and time. A missing file is one, too. */
async function signatureOfFile(path: string): Promise<string> {
  try {
    const real = await realpath(path);
    const { ino, size, mtimeMs } = await stat(real);
    return `${real} ${ino} ${size} ${mtimeMs}`;
  } catch (thrown) {
    return `${path} ${String((thrown as { code?: string }).code ?? "unreadable")}`;
  }
}

function watchFolderOfSystem(folder: string, onEvent: () => void): () => void {
  try {
    const watcher = watch(folder, { persistent: false }, onEvent);
    watcher.on("error", () => watcher.close()); // the folder is gone; looks go on
    return () => watcher.close();
  } catch {
    return () => undefined; // no events to be had here; looks go on
  }
}
