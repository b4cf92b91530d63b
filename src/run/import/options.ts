/**
 * The options of FLASHTransformer in lucidrains/FLASH-pytorch, by that library's names and with its defaults: those that its
 * state dict does not show have to be told; the others are checked against it.
 */
import { z } from "zod";
import { LonghandError, nearest } from "../../base/errors.ts";
import { describeIssues } from "../../base/issues.ts";

const size = () => z.coerce.number({ error: "expected a number" }).int().positive();

/** true or false, as JSON, as in Python, or as text. */
const flag = () =>
  z
    .union(
      [z.boolean(), z.enum(["True", "true"]).transform(() => true), z.enum(["False", "false"]).transform(() => false)],
      {
        error: "expected True or False",
      },
    )
    .optional();

const optionsSchema = z.strictObject({
  causal: flag().default(false),
  group_size: size().default(256),
  shift_tokens: flag().default(true),
  laplace_attn_fn: flag().default(false),
  reduce_group_non_causal_attn: flag().default(true),
  /** Only for training. */
  attn_dropout: z.coerce.number().min(0).optional(),
  dim: size().optional(),
  num_tokens: size().optional(),
  depth: size().optional(),
  query_key_dim: size().optional(),
  expansion_factor: z.coerce.number().positive().optional(),
  norm_type: z.enum(["scalenorm", "layernorm"]).optional(),
});

export type FlashPytorchOptions = z.input<typeof optionsSchema>;
export type Options = z.output<typeof optionsSchema>;

const names = Object.keys(optionsSchema.shape);

/**
 * Options as they are given, after those in the metadata of the file, which may hold other things too. Throws "usage" naming
 * the option.
 */
export function parseOptions(given: FlashPytorchOptions, metadata: Readonly<Record<string, string>>): Options {
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const guess = nearest(name, names);
    const expected = `expected one of ${names.join(", ")}`;
    throw new LonghandError("usage", `option ${name}: ${expected}${guess ? ` (did you mean ${guess}?)` : ""}`);
  }
  const stored = Object.fromEntries(Object.entries(metadata).filter(([name]) => names.includes(name)));
  const all = { ...stored, ...given };
  const parsed = optionsSchema.safeParse(all);
  if (parsed.success) return parsed.data;
  throw new LonghandError(
    "usage",
    describeIssues(parsed.error, all, (name) => `option ${name}`),
  );
}

/** Throws "usage" for an option that the weights contradict, or one that Longhand's FLASH cannot follow. */
export function requireOptions(options: Options, shown: Readonly<Partial<Options>>): void {
  for (const [name, value] of Object.entries(shown)) {
    const given = options[name as keyof Options];
    if (given === undefined || given === value) continue;
    throw new LonghandError("usage", `option ${name}: expected ${value}, as the weights have it, got ${given}`);
  }
  const refuse = (problem: string) => new LonghandError("usage", `option ${problem}`);
  const { dim = 0, query_key_dim: s = 0, expansion_factor: expansion = 0 } = shown;
  if (dim % 2 !== 0) throw refuse(`dim: expected an even number, got ${dim}`);
  if (s % 2 !== 0) throw refuse(`query_key_dim: expected an even number, got ${s}`);
  if (!Number.isInteger(expansion)) throw refuse(`expansion_factor: expected a whole number, got ${expansion}`);
  if (!options.causal && !options.reduce_group_non_causal_attn) {
    throw refuse(
      "reduce_group_non_causal_attn: expected True, got False, which keeps the linear attention of each group to itself; Longhand's reaches the whole text",
    );
  }
}
