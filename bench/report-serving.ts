/** The report of what a trained model is put to: serving, scoring, and writing beside a peer. */
import { PEER_INSTALL, type PeerReport } from "./peer.ts";
import { line, mebibytes, show } from "./report-lines.ts";
import type { ScoreReport } from "./score.ts";
import type { ServeReport } from "./serve.ts";

export function serveText({
  preset,
  threads,
  tokens,
  one,
  eight,
  ratio,
  session,
  prompt,
  far,
  ...shares
}: ServeReport) {
  return [
    `serve: FLASH ${preset}, ${threads} threads, streams of ${tokens} tokens; medians (quartiles)`,
    line("  one stream", `${show(one, 1)} tokens/s`),
    line("    choosing tokens", `${show(shares.choosingShare, 1, 100)} % of its time`),
    line("    the server's own", `${show(shares.ownShare, 1, 100)} % of its time`),
    line("  eight streams", `${show(eight, 1)} tokens/s of all, ratio ${show(ratio, 2)}`),
    line(`  session of ${session.position}`, `first token after ${show(session.firstTokenMilliseconds, 1)} ms`),
    line(
      `  prompt of ${prompt.tokens}`,
      `${show(prompt.perSecond, 0)} tokens/s, against evaluation ratio ${show(prompt.ratio, 2)}`,
    ),
    ...far.map(({ position, flash, transformer, ratio }) =>
      line(
        `  from position ${position}`,
        `${show(flash, 1)} tokens/s, Transformer++ ${show(transformer, 1)}, ratio ${show(ratio, 2)}`,
      ),
    ),
  ].join("\n");
}

export function scoreText({ threads, results }: ScoreReport): string {
  return [
    `score: FLASH, ${threads} threads, beside eval of the same text; medians (quartiles)`,
    ...results.flatMap(({ preset, tokens, score, windows, whole, againstWindows, againstWhole }) => [
      line(`  ${preset}`, `${show(score, 0)} tokens/s of ${tokens} tokens`),
      line("    eval, windows", `${show(windows, 0)} tokens/s, ratio ${show(againstWindows, 2)}`),
      line("    eval, whole", `${show(whole, 0)} tokens/s, ratio ${show(againstWhole, 2)}`),
    ]),
  ].join("\n");
}

export function peerText({ preset, threads, sides }: PeerReport): string {
  const title = `peer: writing with FLASH ${preset} beside llama.cpp, ${threads} threads`;
  if (sides === undefined) return `${title}: not compared; first install it: ${PEER_INSTALL}`;
  return [
    `${title}; medians (quartiles)`,
    ...sides.flatMap(({ name, parameters, peakBytes, positions }, side) => [
      line(
        `  ${name}`,
        `${parameters ? `${(parameters / 1e6).toFixed(1)} M parameters, ` : ""}peak ${mebibytes(peakBytes)}`,
      ),
      ...positions.map(({ position, tokensPerSecond, ratio, readPerSecond, residentBytes }) =>
        line(
          `    from position ${position}`,
          `${show(tokensPerSecond, 1)} tokens/s${side === 0 ? "" : `, Longhand ${show(ratio, 2)} times as fast`}; ` +
            `${readPerSecond.toFixed(0)} read a second, ${mebibytes(residentBytes)}`,
        ),
      ),
    ]),
  ].join("\n");
}
