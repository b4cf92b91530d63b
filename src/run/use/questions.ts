/** Questions with given answers from a file of JSON lines, and a model's results on all of them. */
import { open } from "node:fs/promises";
import { z } from "zod";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { describeIssues } from "../../base/issues.ts";
import { type Answered, answerQuestion, type ChoicesResult, ChoicesSummary, type Question } from "../../use/choices.ts";
import type { LoadedModel } from "../../use/loaded-model.ts";

const text = () => z.string().refine((value) => value.isWellFormed(), "expected no half of a surrogate pair");

/** A line: several choices and which is right, by its place from 0 or in its own words; or the one right continuation. */
const questionSchema = z.union([
  z.object({
    context: text(),
    choices: z.array(text().min(1)).min(1),
    answer: z.union([z.number().int().min(0), z.string()]),
  }),
  z.object({ context: text(), target: text().min(1) }),
]);

export interface ChoicesOptions {
  /** JSON lines: context, choices and answer; or context and target. Other fields are left alone. */
  readonly choices: string;
  readonly onAnswer?: (answered: Answered & { readonly line: number; readonly answer: number }) => void;
  readonly onProgress?: (done: number) => void;
}

/**
 * How often a causal model holds the right answer for the likeliest. Memory does not grow with the file. Throws "data" for a
 * line that is no question, with its number, "io" for a file that cannot be read.
 */
export async function evaluateChoices(model: LoadedModel, options: ChoicesOptions): Promise<ChoicesResult> {
  const { choices: path, onAnswer, onProgress } = options;
  const summary = new ChoicesSummary();
  for await (const { question, line, done } of questionsOf(path)) {
    let answered: Answered;
    try {
      answered = await answerQuestion(model, question);
    } catch (error) {
      if (!(error instanceof LonghandError)) throw error;
      throw new LonghandError(error.code, `${path}, line ${line}: ${error.message}`, { cause: error });
    }
    summary.add(question, answered);
    onAnswer?.({ ...answered, line, answer: question.answer });
    onProgress?.(done);
  }
  if (summary.questions === 0) throw new LonghandError("data", `${path}: expected at least one question, got none`);
  return summary.result();
}

async function* questionsOf(path: string) {
  let read = 0;
  let line = 0;
  const file = await open(path).catch((error) => {
    throw new LonghandError("io", `${path}: it cannot be read: ${messageOf(error)}`, { cause: error });
  });
  try {
    const { size } = await file.stat();
    for await (const content of file.readLines({ autoClose: false })) {
      line += 1;
      read += Buffer.byteLength(content) + 1;
      const plain = line === 1 ? content.replace(/^\ufeff/, "") : content;
      if (plain.trim() === "") continue;
      yield { question: questionIn(plain, `${path}, line ${line}`), line, done: Math.min(1, read / size) };
    }
  } finally {
    await file.close();
  }
}

function questionIn(line: string, where: string): Question {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new LonghandError("data", `${where}: it is not JSON`);
  }
  const several = typeof value === "object" && value !== null && "choices" in value;
  const parsed = questionSchema.options[several ? 0 : 1].safeParse(value);
  if (!parsed.success) throw new LonghandError("data", `${where}: ${describeIssues(parsed.error, value)}`);
  const { data } = parsed;
  if ("target" in data) return { context: data.context, choices: [data.target], answer: 0 };
  const { choices, answer } = data;
  const place = typeof answer === "number" ? answer : choices.indexOf(answer);
  if (place >= 0 && place < choices.length) return { ...data, answer: place };
  const expected = `one of the choices, or its place from 0 to ${choices.length - 1}`;
  throw new LonghandError("data", `${where}: answer ${JSON.stringify(answer)}: expected ${expected}`);
}
