/** The rest of the report: findings, ablations, the paper's figures, what was left out, machine and method. */
import { type AblationName, ablations, presets } from "longhand";
import { labelOf, REFERENCE } from "../architectures.ts";
import { describeIdentity } from "../machine.ts";
import { PAPER, paperAblations, paperPerplexities, paperSpeedUps } from "../paper.ts";
import { variantLabel } from "../variants.ts";
import { LEFT_OUT } from "./beyond-section.ts";
import { bytesText, orDash, perplexityText, ratioText, secondsText, significant, whole } from "./format.ts";
import { list, paragraph, type Section, table } from "./page.ts";
import { againstColumn, parametersColumn, perplexityColumn, stepColumn } from "./quality-section.ts";
import type { QualityRow } from "./quality-summary.ts";
import { largestRatio } from "./speed-section.ts";
import type { Summary } from "./summary.ts";

/** The main figures in a few sentences; empty when nothing of it is measured. */
export function findings(summary: Summary): string[] {
  return [...speedFindings(summary), ...flatFinding(summary), ...qualityFindings(summary), ...speedUpFindings(summary)];
}

function speedFindings({ speed }: Summary): string[] {
  return speed
    .filter(({ model, timesAsFast }) => model === "flash" && timesAsFast !== null)
    .sort((a, b) => a.context - b.context)
    .filter((row, i, all) => i === 0 || i === all.length - 1 || row.context === 8192)
    .map(({ context, timesAsFast, arithmeticRatio, gigaflopsPerSecond: own }) => {
      const reference = speed.find((row) => row.model === REFERENCE && row.context === context);
      const rate = reference?.gigaflopsPerSecond ?? null;
      const rates =
        rate === null || own === null ? "" : `, computed at ${significant(own)} and ${significant(rate)} GFLOP/s`;
      const ratio = orDash(timesAsFast, ({ median }) => ratioText(median));
      return `At context ${whole(context)} a training step of FLASH is ${ratio} times as fast as Transformer++'s; their arithmetic alone is ${ratioText(arithmeticRatio ?? Number.NaN)} to 1${rates}.`;
    });
}

function flatFinding({ flat }: Summary): string[] {
  const ratio = largestRatio(flat);
  const measured = flat.filter((row) => row.microsecondsPerToken !== null).map(({ context }) => context);
  if (ratio === null) return [];
  return [
    `FLASH's time per token at ${measured.length} contexts from ${whole(Math.min(...measured))} to ${whole(Math.max(...measured))}, with ${whole(flat[0].tokens)} tokens a step, differs by ${(100 * (ratio - 1)).toFixed(1)} % between the fastest and the slowest.`,
  ];
}

function qualityFindings({ quality }: Summary): string[] {
  return quality.flatMap(({ model, perplexity, steps, objective, context }) => {
    const reference = quality.find(
      (row) => row.model === REFERENCE && row.objective === objective && row.context === context,
    )?.perplexity;
    if (model !== "flash" || !perplexity || !reference) return [];
    const difference = 100 * (perplexity / reference - 1);
    return [
      `After ${whole(steps)} steps (${objective}, context ${whole(context)}) FLASH's held-out perplexity is ${perplexityText(perplexity)}, ${Math.abs(difference).toFixed(1)} % ${difference <= 0 ? "below" : "above"} Transformer++'s ${perplexityText(reference)}.`,
    ];
  });
}

function speedUpFindings({ speedUps }: Summary): string[] {
  return speedUps
    .filter(({ model }) => model === "flash")
    .map(({ objective, context, speedUp, targetPerplexity }) => {
      const target = `Transformer++'s last perplexity of ${perplexityText(targetPerplexity)} (${objective}, context ${whole(context)})`;
      return speedUp === null
        ? `FLASH did not reach ${target} in the same number of steps.`
        : `FLASH reaches ${target} ${ratioText(speedUp)} times as fast.`;
    });
}

export function paperSection({ quality, speedUps }: Summary): Section {
  const here = (objective: string) => {
    const ours = speedUps.filter((row) => row.model === "flash" && row.objective === objective);
    const reached = ours.flatMap(({ context, speedUp }) =>
      speedUp === null ? [] : [`${ratioText(speedUp)} at ${whole(context)}`],
    );
    return reached.join(", ") || (ours.length === 0 ? "not measured" : "not reached");
  };
  const ours = (model: string, { objective, context }: { readonly objective: string; readonly context: number }) =>
    quality.find((row) => row.model === model && row.objective === objective && row.context === context)?.perplexity ??
    null;
  const parts = [
    paragraph(
      `${PAPER}. Its models have about 110 million parameters and train on TPUs with 2^18 tokens a step; ours are small and learn another text on this machine. The directions can be compared, the values cannot.`,
    ),
    table("Training speed-up of FLASH over Transformer++ at equal perplexity", paperSpeedUps, [
      ["the paper's corpus", (row) => row.corpus],
      ["objective", (row) => row.objective],
      ["#the paper, up to", (row) => `${row.speedUp} times`],
      ["place", (row) => row.place],
      ["#here, by context", (row) => here(row.objective)],
    ]),
    table("Perplexity of FLASH and Transformer++", paperPerplexities, [
      ["the paper's corpus", (row) => `${row.corpus}, ${row.objective}, ${whole(row.context)}`],
      ["#the paper: FLASH", (row) => row.flash.toFixed(3)],
      ["#Transformer++", (row) => row.transformerPlusPlus.toFixed(3)],
      ["#ratio", (row) => (row.flash / row.transformerPlusPlus).toFixed(3)],
      ["place", (row) => row.place],
      ["#here: FLASH", (row) => perplexityText(ours("flash", row))],
      ["#Transformer++", (row) => perplexityText(ours(REFERENCE, row))],
      [
        "#ratio",
        (row) => {
          const [flash, reference] = [ours("flash", row), ours(REFERENCE, row)];
          return flash === null || reference === null ? "–" : (flash / reference).toFixed(3);
        },
      ],
    ]),
  ];
  return { id: "paper", title: "The paper's figures beside ours", parts };
}

export function ablationSection({ ablations: rows, settings }: Summary): Section {
  const about = { id: "ablations", title: "Ablations" };
  if (rows.length === 0) return { ...about, parts: [] };
  const [first] = rows;
  const base = rows.find(({ model, ablation }) => model === "flash" && ablation === null)?.perplexity;
  const parts = [
    paragraph(
      `FLASH with one thing changed, ${whole(first.steps)} steps of ${whole(first.tokensPerStep)} tokens at context ${whole(first.context)}; chunks of ${presets[settings.preset].chunk} tokens unless the line says otherwise. All take one learning rate.`,
    ),
    table("Held-out perplexity after the same number of steps", rows, [
      ["", (row) => row.ablation ?? labelOf(row.model)],
      ["what it is", describeAblation],
      perplexityColumn,
      againstColumn("FLASH", base),
      parametersColumn,
      stepColumn,
      ["#memory", (row) => bytesText(row.peakBytes)],
    ]),
    "<h3>What the paper found, as summaries of it report</h3>",
    list(paperAblations.map(({ claim, place }) => `${claim} (${place})`)),
  ];
  return { ...about, parts };
}

function describeAblation({ model, ablation }: QualityRow): string {
  if (ablation !== null) return ablations[ablation as AblationName]?.description ?? "";
  return model === "flash"
    ? "Mixed chunk attention, as in the paper."
    : "Mixed chunk attention in a Transformer's heads.";
}

export function leftOutSection({ leftOut, speed, quality, ablations: rows, recall, recallFailures }: Summary): Section {
  const measured = [
    ...speed.map((row) => ({
      what: `speed of ${labelOf(row.model)} at context ${whole(row.context)}`,
      why: row.failure,
    })),
    ...[...quality, ...rows].map((row) => ({ what: row.job, why: row.failure })),
    ...quality.flatMap(({ model, beyond }) =>
      (beyond?.leftOut ?? []).map(({ window, why }) => ({
        ...{ what: `perplexity of ${labelOf(model)} in windows of ${whole(window)} tokens`, why },
      })),
    ),
  ];
  const reach = recall.flatMap((row) => {
    if (row.leftOut === null) return [];
    const { distance, why } = row.leftOut;
    return [{ what: `recall of ${variantLabel(row)} over ${whole(distance)} tokens and more`, why }];
  });
  const all = [...recallFailures, ...reach, ...measured.filter(({ why }) => why !== null), ...leftOut];
  const missing = () =>
    table("What is not in this report", all, [
      ["what", ({ what }) => what],
      ["why", ({ why }) => why ?? ""],
    ]);
  return { id: "left-out", title: LEFT_OUT, parts: all.length === 0 ? [] : [missing()] };
}

export function methodSection(summary: Summary): Section {
  const { identities, settings, idleShare, finishedJobs, jobs, measuredSeconds } = summary;
  const several = identities.length > 1;
  const idle =
    idleShare === null
      ? ""
      : ` The waiting processes used ${(100 * idleShare).toFixed(0)} % of one core at most during a timed step.`;
  const parts = [
    list(identities.map((each, i) => `${several ? `Machine ${i + 1}: ` : ""}${describeIdentity(each)}`)),
    ...(several
      ? [
          paragraph(
            `The figures come from ${identities.length} machines or versions: ${mixedRows(summary)}. Do not compare times between them.`,
          ),
        ]
      : []),
    list([
      `Speed: each model is a process of its own that takes real training steps on made-up tokens with the frequencies of text. Processes that fit into memory together live side by side and work one at a time, each round beginning with another one; the others are started in turn, in every round.${idle}`,
      "Memory: the largest resident size of such a process, as the system counts it.",
      `Quality: every training is a process of its own; all learn the same batches in the same order from the same ${settings.seeds > 1 ? "seeds" : "seed"}, with ${settings.optimizer === "muon" ? "Muon (momentum 0.95) for linear maps, AdamW for the rest" : "AdamW"} (0.9, 0.999, weight decay ${settings.weightDecay}, clipping at 1), a warm-up over a tenth of the steps and linear decay to zero.`,
      `Held out: the last ${(100 * settings.evalFraction).toFixed(0)} % of each text. Vocabulary ${whole(settings.vocab)}, preset ${settings.preset}, ${settings.seeds > 1 ? `seeds ${settings.seed} to ${settings.seed + settings.seeds - 1}` : `seed ${settings.seed}`}.`,
      "Arithmetic: 2 m n k of every matrix product of the forward pass, times 3 for forward and backward; element-wise work counts nothing, so a model that spends its time there shows a low GFLOP/s.",
      `${finishedJobs} of ${jobs} jobs measured in ${secondsText(measuredSeconds)}. Raw figures: results/, report.json and the CSV files beside this page.`,
    ]),
  ];
  return { id: "method", title: "Machine, versions and method", parts };
}

function mixedRows({ identities, speed, quality, ablations: rows, recall }: Summary): string {
  const all = [
    ...speed.map((row) => ({ name: `speed ${labelOf(row.model)} ${whole(row.context)}`, at: row.identity })),
    ...[...quality, ...rows].map((row) => ({ name: row.job, at: row.identity })),
    ...recall.map((row) => ({ name: `recall of ${variantLabel(row)}`, at: row.identity })),
  ];
  const machines = identities.map((_, i) => all.filter(({ at }) => at === i).map(({ name }) => name));
  return machines
    .flatMap((names, i) => (names.length === 0 ? [] : [`machine ${i + 1}: ${names.join(", ")}`]))
    .join("; ");
}
