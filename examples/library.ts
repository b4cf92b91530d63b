/**
 * The library without the command line: trains a small model on a text, measures it, and writes with it.
 *
 *   npx tsx examples/library.ts book.txt runs/example
 */
import { evaluate, generate, LonghandError, loadModel, train } from "longhand";

const [data = "book.txt", out = "runs/example", steps = "200"] = process.argv.slice(2);

try {
  const { run, step, perplexity } = await train(
    { data, out, preset: "nano", context: 256, batch: 2, vocab: 512, steps: Number(steps), overwrite: true },
    {
      onEvent(event) {
        if (event.type === "train" && event.step % 10 === 0)
          console.log(`step ${event.step}: loss ${event.loss.toFixed(3)}`);
      },
    },
  );
  console.log(`${run}: ${step} steps, held-out perplexity ${perplexity?.toFixed(1)}`);

  const model = await loadModel(run);
  try {
    const { bitsPerByte, byPosition } = await evaluate(model, { data, context: 512 });
    console.log(`${bitsPerByte.toFixed(3)} bits a byte`);
    for (const { from, to, loss } of byPosition) console.log(`  tokens ${from} to ${to - 1}: loss ${loss.toFixed(3)}`);

    for await (const piece of generate(model, { prompt: "It was", tokens: 50, temperature: 0.7, seed: 1 })) {
      if (piece.type === "text") process.stdout.write(piece.text);
      else console.log(`\n(${piece.tokens} tokens, ${piece.tokensPerSecond.toFixed(0)} a second)`);
    }
  } finally {
    await model.close();
  }
} catch (error) {
  // Errors that Longhand raises on purpose have a stable code and a sentence for people.
  if (!(error instanceof LonghandError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
