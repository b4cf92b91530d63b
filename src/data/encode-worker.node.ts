/**
 * A thread that encodes (started by encode-pool.node.ts): its data are the text of a tokenizer.json and the width of a
 * token; each message is a batch of pieces, answered in order. `null` ends it.
 */
import { parentPort, workerData } from "node:worker_threads";
import { LonghandError, messageOf } from "../base/errors.ts";
import { encodePieces, type PieceText } from "./encode-pieces.ts";
import type { EncoderAnswer, EncoderSetup } from "./encode-pool.node.ts";
import { tokenizerFromJson } from "./tokenizer.node.ts";

const port = parentPort;
if (port === null) throw new Error("encode-worker runs as a worker thread");
const { json, width } = workerData as EncoderSetup;
const tokenizer = tokenizerFromJson(json);
let queue = Promise.resolve();

port.on("message", (pieces: readonly PieceText[] | null) => {
  queue = queue.then(async () => {
    if (pieces === null) port.close();
    else await answer(pieces);
  });
});

async function answer(pieces: readonly PieceText[]): Promise<void> {
  try {
    const encoded = await encodePieces(tokenizer, width, pieces);
    const reply: EncoderAnswer = { encoded };
    port?.postMessage(reply, [encoded.ids.buffer, encoded.ends.buffer]);
  } catch (error) {
    const code = error instanceof LonghandError ? error.code : undefined;
    const reply: EncoderAnswer = { error: { code, message: messageOf(error) } };
    port?.postMessage(reply);
  }
}
