/** The rest of the report: findings, ablations, the paper's figures, what was left out, machine and method. */

import { type AblationName, ablations, presets } from "longhand";
import { labelOf, REFERENCE } from "../architectures.ts";
import { describeIdentity } from "../machine.ts";
import { PAPER, paperAblations, paperPerplexities, paperSpeedUps } from "../paper.ts";
import { bytesText, perplexityText, ratioText, secondsText, significant, spreadText, whole } from "./format.ts";
import { list, paragraph, type Section, table } from "./page.ts";
import { largestRatio } from "./speed-section.ts";
import type { QualityRow, Summary } from "./summary.ts";

/** The main figures in a few sentences; empty when nothing of it is measured. */
export function findings(summary: Summary): string[] {
  return [...speedFindings(summary), ...flatFinding(summary), ...qualityFindings(summary), ...speedUpFindings(summary)];
}

function speedFindings({ speed }: Summary): string[] {
  const compared = speed.filter(({ model, timesAsFast }) => model === "flash" && timesAsFast !== null);
  return compared
    .sort((a, b) => a.context - b.context)
    .filter((row, i, all) => i === 0 || i === all.length - 1 || row.context === 8192)
    .map(({ context, timesAsFast, arithmeticRatio, ...flash }) => {
      const reference = speed.find((row) => row.model === REFERENCE && row.context === context);
      const rate = reference?.gigaflopsPerSecond ?? null;
      const rates =
        rate === null || flash.gigaflopsPerSecond === null
          ? ""
          : `, computed at ${significant(flash.gigaflopsPerSecond)} and ${significant(rate)} GFLOP/s`;
      const ratio = timesAsFast === null ? "–" : ratioText(timesAsFast.median);
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
  return quality
    .filter(({ model, perplexity }) => model === "flash" && perplexity !== null)
    .flatMap((flash) => {
      const reference = partner(quality, flash)?.perplexity ?? null;
      if (reference === null || flash.perplexity === null) return [];
      const difference = 100 * (flash.perplexity / reference - 1);
      const side = difference <= 0 ? "below" : "above";
      return [
        `After ${whole(flash.steps)} steps (${flash.objective}, context ${whole(flash.context)}) FLASH's held-out perplexity is ${perplexityText(flash.perplexity)}, ${Math.abs(difference).toFixed(1)} % ${side} Transformer++'s ${perplexityText(reference)}.`,
      ];
    });
}

const partner = (rows: readonly QualityRow[], { objective, context }: QualityRow) =>
  rows.find((row) => row.model === REFERENCE && row.objective === objective && row.context === context);

function speedUpFindings({ speedUps }: Summary): string[] {
  return speedUps
    .filter(({ model }) => model === "flash")
    .map(({ objective, context, speedUp, targetPerplexity, seconds }) =>
      speedUp === null || seconds === null
        ? `FLASH did not reach Transformer++'s last perplexity of ${perplexityText(targetPerplexity)} (${objective}, context ${whole(context)}) in the same number of steps.`
        : `FLASH reaches Transformer++'s last perplexity of ${perplexityText(targetPerplexity)} (${objective}, context ${whole(context)}) ${ratioText(speedUp)} times as fast.`,
    );
}

export function paperSection(summary: Summary): Section {
  const ours = (objective: string) =>
    summary.speedUps.filter((row) => row.model === "flash" && row.objective === objective);
  const best = (objective: string) => {
    const reached = ours(objective).filter(({ speedUp }) => speedUp !== null);
    if (reached.length === 0) return ours(objective).length === 0 ? "not measured" : "not reached";
    return reached.map(({ context, speedUp }) => `${ratioText(speedUp ?? 0)} at ${whole(context)}`).join(", ");
  };
  const perplexityOf = (model: string, objective: string, context: number) =>
    summary.quality.find((row) => row.model === model && row.objective === objective && row.context === context)
      ?.perplexity ?? null;
  const body = [
    paragraph(
      `${PAPER}. Its models have about 110 million parameters and train on TPUs with 2^18 tokens a step; ours are small and learn another text on this machine. The directions can be compared, the values cannot.`,
    ),
    table(
      "Training speed-up of FLASH over Transformer++ at equal perplexity",
      [
        { head: "the paper's corpus", cell: (row) => row.corpus },
        { head: "objective", cell: (row) => row.objective },
        { head: "the paper, up to", cell: (row) => `${row.speedUp} times`, number: true },
        { head: "place", cell: (row) => row.place },
        { head: "here, by context", cell: (row) => best(row.objective), number: true },
      ],
      paperSpeedUps,
    ),
    table(
      "Perplexity of FLASH and Transformer++",
      [
        { head: "the paper's corpus", cell: (row) => `${row.corpus}, ${row.objective}, ${whole(row.context)}` },
        { head: "the paper: FLASH", cell: (row) => row.flash.toFixed(3), number: true },
        { head: "Transformer++", cell: (row) => row.transformerPlusPlus.toFixed(3), number: true },
        { head: "ratio", cell: (row) => (row.flash / row.transformerPlusPlus).toFixed(3), number: true },
        { head: "place", cell: (row) => row.place },
        {
          head: "here: FLASH",
          cell: (row) => perplexityText(perplexityOf("flash", row.objective, row.context)),
          number: true,
        },
        {
          head: "Transformer++",
          cell: (row) => perplexityText(perplexityOf(REFERENCE, row.objective, row.context)),
          number: true,
        },
        {
          head: "ratio",
          cell: (row) => {
            const [a, b] = [
              perplexityOf("flash", row.objective, row.context),
              perplexityOf(REFERENCE, row.objective, row.context),
            ];
            return a === null || b === null ? "–" : (a / b).toFixed(3);
          },
          number: true,
        },
      ],
      paperPerplexities,
    ),
  ];
  return { id: "paper", title: "The paper's figures beside ours", body: body.join("\n") };
}

export function ablationSection({ ablations: rows, settings }: Summary): Section {
  const title = "Ablations";
  if (rows.length === 0) return { id: "ablations", title, body: "" };
  const base = rows.find(({ model, ablation }) => model === "flash" && ablation === null)?.perplexity ?? null;
  const body = [
    paragraph(
      `FLASH with one thing changed, ${whole(rows[0].steps)} steps of ${whole(rows[0].tokensPerStep)} tokens at context ${whole(rows[0].context)}; chunks of ${presets[settings.preset].chunk} tokens unless the line says otherwise. All take one learning rate.`,
    ),
    table(
      "Held-out perplexity after the same number of steps",
      [
        { head: "", cell: (row: QualityRow) => row.ablation ?? (row.model === "flash" ? "FLASH" : labelOf(row.model)) },
        { head: "what it is", cell: describeAblation },
        {
          head: "perplexity",
          cell: (row) => (row.failure === null ? perplexityText(row.perplexity) : "failed"),
          number: true,
        },
        {
          head: "against FLASH",
          cell: (row) => (base === null || row.perplexity === null ? "–" : signed(row.perplexity / base)),
          number: true,
        },
        { head: "parameters", cell: (row) => `${(row.parameters / 1e6).toFixed(2)} M`, number: true },
        { head: "ms a step", cell: (row) => spreadText(row.stepMilliseconds), number: true },
        { head: "memory", cell: (row) => bytesText(row.peakBytes), number: true },
      ],
      rows,
    ),
    "<h3>What the paper found, as summaries of it report</h3>",
    list(paperAblations.map(({ claim, place }) => `${claim} (${place})`)),
  ];
  return { id: "ablations", title, body: body.join("\n") };
}

function describeAblation({ model, ablation }: QualityRow): string {
  if (ablation !== null) return ablations[ablation as AblationName]?.description ?? "";
  return model === "flash"
    ? "Mixed chunk attention, as in the paper."
    : "Mixed chunk attention in a Transformer's heads.";
}

const signed = (ratio: number) => `${ratio >= 1 ? "+" : "−"}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`;

export function leftOutSection({ leftOut, speed, quality, ablations: rows }: Summary): Section {
  const failed = [
    ...speed
      .filter(({ failure }) => failure !== null)
      .map((row) => ({
        what: `speed of ${labelOf(row.model)} at context ${whole(row.context)}`,
        why: row.failure ?? "",
      })),
    ...[...quality, ...rows]
      .filter(({ failure }) => failure !== null)
      .map((row) => ({ what: row.job, why: row.failure ?? "" })),
  ];
  const all = [...failed, ...leftOut];
  const body =
    all.length === 0
      ? ""
      : table(
          "What is not in this report",
          [
            { head: "what", cell: (row) => row.what },
            { head: "why", cell: (row) => row.why },
          ],
          all,
        );
  return { id: "left-out", title: "What was left out or did not fit", body };
}

export function methodSection(summary: Summary): Section {
  const { identities, settings, idleShare, finishedJobs, jobs, measuredSeconds } = summary;
  const machines = identities.map((identity, i) =>
    identities.length > 1 ? `Machine ${i + 1}: ${describeIdentity(identity)}` : describeIdentity(identity),
  );
  const idle =
    idleShare === null
      ? ""
      : ` The waiting processes used ${(100 * idleShare).toFixed(0)} % of one core at most during a timed step.`;
  const mixed =
    identities.length > 1
      ? [
          `The figures come from ${identities.length} machines or versions: ${mixedRows(summary)}. Do not compare times between them.`,
        ]
      : [];
  const body = [
    list(machines),
    ...mixed.map(paragraph),
    list([
      `Speed: each model is a process of its own that takes real training steps on made-up tokens with the frequencies of text. Processes that fit into memory together live side by side and work one at a time, each round beginning with another one; the others are started in turn, in every round.${idle}`,
      "Memory: the largest resident size of such a process, as the system counts it.",
      "Quality: every training is a process of its own; all learn the same batches in the same order from the same seed, with AdamW (0.9, 0.999, weight decay 0.01, clipping at 1), a warm-up over a tenth of the steps and linear decay to zero.",
      `Held out: the last ${(100 * settings.evalFraction).toFixed(0)} % of each text. Vocabulary ${whole(settings.vocab)}, preset ${settings.preset}, seed ${settings.seed}.`,
      "Arithmetic: 2 m n k of every matrix product of the forward pass, times 3 for forward and backward; element-wise work counts nothing, so a model that spends its time there shows a low GFLOP/s.",
      `${finishedJobs} of ${jobs} jobs measured in ${secondsText(measuredSeconds)}. Raw figures: results/, report.json and the CSV files beside this page.`,
    ]),
  ];
  return { id: "method", title: "Machine, versions and method", body: body.join("\n") };
}

function mixedRows({ speed, quality, ablations: rows }: Summary): string {
  const all = [
    ...speed.map((row) => ({ name: `speed ${labelOf(row.model)} ${whole(row.context)}`, at: row.identity })),
    ...[...quality, ...rows].map((row) => ({ name: row.job, at: row.identity })),
  ];
  const machines = [...new Set(all.map(({ at }) => at))].sort();
  return machines
    .map(
      (at) =>
        `machine ${at + 1}: ${all
          .filter((row) => row.at === at)
          .map(({ name }) => name)
          .join(", ")}`,
    )
    .join("; ");
}
