/** Progress on stderr: a bar in a terminal, a line now and then elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import type { DownloadProgress } from "../data/sources/hub/client.ts";
import { byteCount } from "./amounts.ts";

export interface Progress {
  /** `done` of `total` steps, with a short text beside the bar. */
  update(done: number, total: number, text: string): void;
  /** A line of its own, above the bar. */
  note(line: string): void;
  end(): void;
}

const LINE_EVERY_MS = 10_000;

export function openProgress(label: string): Progress {
  return process.stderr.isTTY ? bar(label) : lines(label);
}

function bar(label: string): Progress {
  const single = new SingleBar(
    {
      format: `${label} {bar} {value}/{total} {text}`,
      stream: process.stderr,
      hideCursor: true,
      barsize: 24,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total, text) {
      if (!started) single.start(total, done, { text });
      else single.update(done, { text });
      started = true;
    },
    note(line) {
      if (started) process.stderr.write("\r\x1b[K");
      process.stderr.write(`${line}\n`);
      if (started) single.render();
    },
    end() {
      if (started) single.stop();
      started = false;
    },
  };
}

function lines(label: string): Progress {
  let last = Number.NEGATIVE_INFINITY;
  return {
    update(done, total, text) {
      const now = performance.now();
      if (now - last < LINE_EVERY_MS && done < total) return;
      last = now;
      process.stderr.write(`${label} ${done}/${total} ${text}\n`);
    },
    note: (line) => void process.stderr.write(`${line}\n`),
    end: () => {},
  };
}

/** Shows the download of files from the hub, one after the other. */
export function fetching(progress: Progress): (download: DownloadProgress) => void {
  let file = "";
  let began = 0;
  let first = 0;
  return ({ path, bytes, totalBytes }) => {
    if (path !== file) {
      progress.end();
      const rest = bytes === 0 ? "" : `, ${byteCount(totalBytes - bytes)} of it`;
      if (bytes < totalBytes) progress.note(`fetching ${path} (${byteCount(totalBytes)}${rest})`);
      file = path;
      began = performance.now();
      first = bytes;
      return;
    }
    const perSecond = (bytes - first) / ((performance.now() - began) / 1000);
    const left = duration((totalBytes - bytes) / perSecond);
    progress.update(Math.floor((100 * bytes) / totalBytes), 100, `% fetched ${byteCount(perSecond)}/s ${left} left`);
    if (bytes === totalBytes) progress.end();
  };
}

/** 75 -> "1m15s" */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, "0")}s`;
  return `${Math.floor(whole / 3600)}h${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")}m`;
}
