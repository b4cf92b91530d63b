/** Whether a tokenizer knows a text: how many bytes of it a token stands for, against the text that it was made for. */

/** Text of the same language has 0.7 of its bytes a token and more, another language 0.6 and less (docs/decisions/0041). */
const LEAST = 0.65;

interface Text {
  readonly name: string;
  readonly bytesPerToken: number;
}

/** `own`: bytes a token of the text that the tokenizer was made for; undefined where that is not known. */
interface OwnText {
  readonly own: number | undefined;
  readonly vocabSize: number;
}

/** What to say of a text that the tokenizer cuts into much smaller pieces than its own; undefined of any other. */
export function unfamiliar({ name, bytesPerToken }: Text, { own, vocabSize }: OwnText): string | undefined {
  const usual = own ?? ofEnglish(vocabSize);
  if (bytesPerToken >= LEAST * usual) return undefined;
  const [got, expected] = [bytesPerToken, usual].map((bytes) => bytes.toFixed(1));
  const where = own === undefined ? `English prose with ${vocabSize} tokens of its own` : "the text of the tokenizer";
  return (
    `${name}: a token of the model stands for ${got} bytes of it, and for ${expected} of ${where}, so that it is read in small ` +
    "pieces and contexts reach less far; a model trained anew would have a tokenizer for it"
  );
}

/** Of byte-level BPE trained on English prose: measured with 512 to 16,384 tokens, within 0.05 (docs/decisions/0041). */
function ofEnglish(vocabSize: number): number {
  return 0.373 * Math.log2(Math.max(32, vocabSize - 259)) - 0.857;
}
