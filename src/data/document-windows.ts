/**
 * Where documents begin in windows of tokens, from the tokens alone. The end-of-text token after a document counts as the
 * first token of the next one, from which that is predicted: so every token of a window has its target.
 */

interface WindowsRequest {
  /** [B, T]: windows side by side, as they are in the text or masked, which leaves the end-of-text tokens as they are. */
  readonly tokens: Int32Array;
  /** T */
  readonly context: number;
  readonly endOfText: number;
  /** [B, T], 0 at places that hold no token of the text, which then belong to no document of it; default: all do. */
  readonly real?: Float32Array | undefined;
}

/**
 * For each token, [3, B, T]: the number of its document in the window, from 1 on; its place in it, from 0 on; and how many
 * of its tokens lie in the window.
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
