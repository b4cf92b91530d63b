/**
 * A thread that encodes, started by encode-pool.node.ts with the text of a tokenizer.json and the width of a token.
 * Each message is a batch of pieces. It is begun at once, so that the native encoder works on one batch while this
 * thread counts another; answers are in order. `null` ends the thread.
 */
import { parentPort, workerData } from "node:worker_threads";
import { LonghandError, messageOf } from "../base/errors.ts";
import { type EncodedPieces, encodePieces, type PieceText } from "./encode-pieces.ts";
import type { EncoderAnswer, EncoderSetup } from "./encode-pool.node.ts";
import { tokenizerFromJson } from "./tokenizer.node.ts";

const port = parentPort;
if (port === null) throw new Error("encode-worker runs as a worker thread");
const { json, width } = workerData as EncoderSetup;
const tokenizer = tokenizerFromJson(json);
let queue = Promise.resolve();

port.on("message", (pieces: readonly PieceText[] | null) => {
  const begun = pieces === null ? undefined : encodePieces(tokenizer, width, pieces);
  begun?.catch(() => undefined); // reported in its turn
  queue = queue.then(async () => {
    if (begun === undefined) port.close();
    else await answer(begun);
  });
});

async function answer(begun: Promise<EncodedPieces>): Promise<void> {
  try {
    const encoded = await begun;
    const reply: EncoderAnswer = { encoded };
    port?.postMessage(reply, [encoded.ids.buffer, encoded.ends.buffer]);
  } catch (error) {
    const code = error instanceof LonghandError ? error.code : undefined;
    const reply: EncoderAnswer = { error: { code, message: messageOf(error) } };
    port?.postMessage(reply);
  }
}
