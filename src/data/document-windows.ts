/**
 * Segment IDs: which document of its window each token belongs to, from the tokens alone. An end-of-text token counts
 * as the first token of the document after it, because the model predicts that document's beginning from it.
 */

interface WindowsRequest {
  /** [B, T]: windows as they are in the text, or masked, which keeps end-of-text tokens. */
  readonly tokens: Int32Array;
  /** T */
  readonly context: number;
  readonly endOfText: number;
  /** [B, T], 0 at padding, which is then a document of its own; default: there is none. */
  readonly real?: Float32Array | undefined;
}

/**
 * [3, B, T], for each token: its segment ID (the number of its document in the window, from 1), its position in that
 * document, from 0, and how many tokens of the document lie in the window.
 */
export function documentsInWindows({ tokens, context, endOfText, real }: WindowsRequest): Int32Array {
  const count = tokens.length;
  const documents = new Int32Array(3 * count);
  const numbers = documents.subarray(0, count);
  const places = documents.subarray(count, 2 * count);
  const lengths = documents.subarray(2 * count);
  let start = 0;
  for (let at = 0; at < count; at++) {
    const opensWindow = at % context === 0;
    const begins = tokens[at] === endOfText || (real !== undefined && real[at] !== real[at - 1]);
    if (opensWindow || begins) {
      lengths.fill(at - start, start, at);
      start = at;
    }
    numbers[at] = opensWindow ? 1 : numbers[at - 1] + Number(begins);
    places[at] = at - start;
  }
  lengths.fill(count - start, start);
  return documents;
}
