/** The report for people: a few aligned lines a section, each number with its quartiles where it was repeated. */
import type { ArchitectureResult, ArchitecturesReport } from "./architectures.ts";
import type { PytorchSide } from "./beside-pytorch.ts";
import type { ContextReport, ContextSide } from "./context.ts";
import type { DataReport } from "./data.ts";
import type { DecodeReport } from "./decode.ts";
import type { DeviceNodesReport } from "./device-nodes.ts";
import type { DistantComparison } from "./distant.ts";
import type { DocumentsReport } from "./documents.ts";
import type { EngineReport } from "./engine.ts";
import type { Machine, Versions } from "./machine.ts";
import type { MemoryReport } from "./memory.ts";
import type { PeerReport } from "./peer.ts";
import { finePercent, line, mebibytes, percent, shape, show } from "./report-lines.ts";
import { peerText, scoreText, serveText } from "./report-serving.ts";
import { studioText } from "./report-studio.ts";
import { webText } from "./report-web.ts";
import type { ScoreReport } from "./score.ts";
import type { ServeReport } from "./serve.ts";
import type { StudioReport } from "./studio.ts";
import type { TrainingReport } from "./training.ts";
import type { WebReport } from "./web.ts";

export interface Sections {
  readonly training: TrainingReport | null;
  readonly context: ContextReport | null;
  readonly decode: DecodeReport | null;
  readonly data: DataReport | null;
  readonly distant: readonly DistantComparison[] | null;
  readonly documents: DocumentsReport | null;
  readonly engine: EngineReport | null;
  readonly deviceNodes: DeviceNodesReport | null;
  readonly architectures: ArchitecturesReport | null;
  readonly memory: MemoryReport | null;
  readonly serve: ServeReport | null;
  readonly score: ScoreReport | null;
  readonly peer: PeerReport | null;
  readonly studio: StudioReport | null;
  readonly web: WebReport | null;
}

export function machineText(machine: Machine, versions: Versions): string {
  const tunables = machine.glibcTunables ? `, GLIBC_TUNABLES=${machine.glibcTunables}` : "";
  return [
    "machine",
    line("processor", `${machine.cpu}, ${machine.cores} cores, load ${machine.loadAverage}`),
    line("memory", mebibytes(machine.memoryBytes)),
    line("huge pages", `${machine.hugePages ? "on" : "off"} (${machine.transparentHugePages}${tunables})`),
    line("system", machine.kernel),
    line(
      "versions",
      `Longhand ${versions.longhand}${versions.commit ? ` at ${versions.commit}` : ""}, Node ${versions.node}, onnxruntime-node ${versions.onnxruntime}`,
    ),
  ].join("\n");
}

export function sectionsText(sections: Sections): string {
  const { training, context, decode, data, distant, documents, engine, deviceNodes } = sections;
  const { memory, architectures, serve, score, peer, studio, web } = sections;
  const parts: string[] = [];
  if (training) parts.push(trainingText(training));
  if (context) parts.push(contextText(context));
  if (decode) parts.push(decodeText(decode));
  if (data) parts.push(dataText(data));
  if (distant) parts.push(distantText(distant));
  if (documents) parts.push(documentsText(documents));
  if (engine) parts.push(engineText(engine));
  if (deviceNodes) parts.push(deviceNodesText(deviceNodes));
  if (memory) parts.push(memoryText(memory));
  if (architectures) parts.push(architecturesText(architectures));
  if (serve) parts.push(serveText(serve));
  if (score) parts.push(scoreText(score));
  if (peer) parts.push(peerText(peer));
  if (studio) parts.push(studioText(studio));
  if (web) parts.push(webText(web));
  return parts.join("\n\n");
}

function trainingText(report: TrainingReport): string {
  const { model, products, flops } = report;
  const lines = [
    `training: FLASH, d ${model.width}, ${model.layers} layers, s ${model.shared}, vocabulary ${model.vocabSize}, context ${report.context}, batch ${report.batch}, chunk ${model.chunk}, ${report.threads} threads; medians of ${report.stepMilliseconds.rounds} rounds (quartiles)`,
    line("step", `${show(report.stepMilliseconds, 0)} ms`),
    line("speed", `${show(report.tokensPerSecond, 0)} tokens/s`),
    line("model arithmetic", `${show(report.modelGflops, 1)} GFLOP/s of the whole step`),
    line("", `${show(report.passGflops, 1)} GFLOP/s of forward and backward`),
    line(
      "",
      `${(flops.step / 1e9).toFixed(1)} GFLOP counted a step (3 x forward), ${(flops.executed / 1e9).toFixed(1)} executed in products`,
    ),
    line(
      "best plain product",
      `${products.best.gflops.toFixed(1)} GFLOP/s at ${shape(products.best.a)} x ${shape(products.best.b)}; share reached ${percent(report.matmulShare)}`,
    ),
    line(
      "all products of a step",
      `${products.weightedGflops.toFixed(1)} GFLOP/s; share reached ${percent(report.matmulShareWeighted)}; alone ${percent(products.shareOfStep)} of a step`,
    ),
    line("optimiser and clipping", `${show(report.optimizerShare, 1, 100)} % of a step`),
    line("peak memory", mebibytes(report.peakBytes)),
  ];
  const { pytorch, pytorchReason } = report;
  if (pytorch === null) lines.push(line("PyTorch", `not compared: ${pytorchReason}`));
  else {
    lines.push(
      line(
        "PyTorch",
        `${pytorch.torch}, ${pytorch.threads} threads, ${pytorch.blas ?? "BLAS unknown"}; first losses agree to ${pytorch.lossDifference.toExponential(1)}`,
      ),
      ...pytorchText("  as a user runs it", pytorch.asUserRunsIt),
      ...pytorchText("  with huge pages", pytorch.hugePages),
    );
  }
  return [...lines, ...idleText(report.idleShare)].join("\n");
}

function pytorchText(label: string, side: PytorchSide): string[] {
  return [
    line(label, `${show(side.tokensPerSecond, 0)} tokens/s, ${mebibytes(side.peakBytes)}`),
    line("", `Longhand is ${show(side.ratio, 2)} times as fast, with ${side.memoryRatio.toFixed(2)} times the memory`),
  ];
}

function contextText({ comparisons, tokensPerStep, preset }: ContextReport): string {
  const side = (label: string, { context, batch, microsecondsPerToken, peakBytes }: ContextSide) =>
    line(
      label,
      `context ${context}, batch ${batch}: ${show(microsecondsPerToken, 1)} µs/token, ${mebibytes(peakBytes)}`,
    );
  return [
    `context: training of preset ${preset}, ${tokensPerStep} tokens a step`,
    ...comparisons.flatMap(({ reference, compared, timeRatio, memoryRatio, idleShare }) => [
      side(`${compared.context} against ${reference.context}`, reference),
      side("", compared),
      line("", `time ratio ${show(timeRatio, 3)}, memory ratio ${memoryRatio.toFixed(3)}`),
      ...idleText(idleShare),
    ]),
  ].join("\n");
}

function decodeText({ model, positions, batches, tokens, stateBytes, peakBytes }: DecodeReport): string {
  const [first] = positions;
  return [
    `decode: the model of width ${model.width} and ${model.layers} layers, ${tokens} tokens a measurement; ratios against position ${first.position}`,
    ...positions.map((p) =>
      line(`  from position ${p.position}`, `${show(p.tokensPerSecond, 1)} tokens/s, ratio ${show(p.ratio, 3)}`),
    ),
    ...batches.map((b) =>
      line(`  ${b.texts} texts together`, `${show(b.tokensPerSecond, 1)} tokens/s of all, ratio ${show(b.ratio, 3)}`),
    ),
    line("memory", `state ${mebibytes(stateBytes)}, peak ${mebibytes(peakBytes)}`),
  ].join("\n");
}

function dataText({ tokenizer, formats, batches, ...report }: DataReport): string {
  const rounds = tokenizer.native.rounds;
  return [
    `data: ${(report.bytes / 1e6).toFixed(1)} MB of text in ${report.documents} documents, vocabulary ${report.vocabSize}, ${report.threads} threads; medians of ${rounds} rounds (quartiles)`,
    line("`tokenizers` alone", `${show(tokenizer.native, 2)} MB/s by its own threads`),
    line(
      "with words remembered",
      `${show(tokenizer.one, 2)} MB/s on one thread, ${show(tokenizer.workers, 2)} by worker threads`,
    ),
    ...formats.map(({ format, megabytesPerSecond, share, shareOfWorkers, peakBytes }) =>
      line(
        `  ${format} to shards`,
        `${show(megabytesPerSecond, 2)} MB/s, ${show(share, 1, 100)} % of \`tokenizers\` alone, ${show(shareOfWorkers, 1, 100)} % of the worker threads; peak memory ${peakBytes === null ? "unknown" : `${Math.round(peakBytes / 1e6)} MB`}`,
      ),
    ),
    ...batches.map(({ preset, context, batch, stepMilliseconds, cachedMilliseconds, coldMilliseconds }) =>
      line(
        `  batch ${batch} x ${context}`,
        `${cachedMilliseconds.toFixed(3)} ms of a step of ${preset} of ${stepMilliseconds.toFixed(0)} ms (${finePercent(cachedMilliseconds / stepMilliseconds)}), not in memory ${coldMilliseconds.toFixed(3)} ms (${finePercent(coldMilliseconds / stepMilliseconds)})`,
      ),
    ),
  ].join("\n");
}

function distantText(comparisons: readonly DistantComparison[]): string {
  return [
    "distant half: training of preset tiny with a mean of learned decays, in turn with the paper's sum",
    ...comparisons.map(({ context, tokensPerStep, sumMilliseconds, ratio, memoryRatio }) =>
      line(
        `  context ${context}`,
        `${show(ratio, 3)} times the step of ${tokensPerStep} tokens in ${show(sumMilliseconds, 0)} ms, ${memoryRatio.toFixed(3)} times the memory`,
      ),
    ),
  ].join("\n");
}

function documentsText({ tokensPerStep, comparisons }: DocumentsReport): string {
  return [
    `documents kept apart: training of preset tiny, ${tokensPerStep} tokens a step, in turn with documents joined`,
    ...comparisons.map(({ context, causal, joinedMilliseconds, ratio, memoryRatio }) =>
      line(
        `  ${causal ? "causal" : "both ways"}, context ${context}`,
        `${show(ratio, 3)} times the step of ${show(joinedMilliseconds, 0)} ms, ${memoryRatio.toFixed(3)} times the memory`,
      ),
    ),
  ].join("\n");
}

function engineText({ preset, tokensPerStep, comparisons }: EngineReport): string {
  return [
    `engine: training of FLASH, preset ${preset}, ${tokensPerStep} tokens a step, in turn with the default`,
    ...comparisons.flatMap(({ name, defaultMilliseconds, time, processorTime, sameBits }) => [
      `  ${name}`,
      line(
        "",
        `${show(time, 3)} times the step of ${show(defaultMilliseconds, 0)} ms, ${show(processorTime, 3)} times the processor time; ${sameBits ? "same" : "other"} bits`,
      ),
    ]),
  ].join("\n");
}

function deviceNodesText({ preset, context, results, reason }: DeviceNodesReport): string {
  const heading = `device-nodes: a training step of preset ${preset}, ${context} tokens, on WebGPU`;
  if (reason !== null) return [heading, line("not counted", reason)].join("\n");
  return [
    heading,
    ...results.flatMap(({ architecture, programs, sent, received }) => [
      line(architecture, `${sent} bytes sent, ${received} bytes read back`),
      ...programs.flatMap(({ program, nodes, dispatches, onCpu, byOperator }) => [
        line(`  ${program}`, `${nodes} nodes, ${dispatches} dispatches, ${onCpu} nodes on the CPU`),
        line(
          "",
          Object.entries(byOperator)
            .map(([name, count]) => `${name} ${count}`)
            .join(", "),
        ),
      ]),
    ]),
  ].join("\n");
}

function architecturesText({ preset, tokensPerStep, results, ...report }: ArchitecturesReport): string {
  const { pytorch, pytorchReason, threads } = report;
  const opponent = pytorch
    ? `${pytorch.torch}, ${pytorch.threads} threads, ${pytorch.blas ?? "BLAS unknown"}`
    : `not compared: ${pytorchReason}`;
  return [
    `architectures: training of preset ${preset}, ${tokensPerStep} tokens a step, ${threads} threads; medians of ${results[0].stepMilliseconds.rounds} rounds (quartiles)`,
    line("PyTorch", opponent),
    ...results.flatMap(architectureText),
  ].join("\n");
}

function architectureText({ architecture, context, batch, pytorch, idleShare, ...own }: ArchitectureResult): string[] {
  const side = (label: string, { tokensPerSecond, peakBytes, ratio, memoryRatio }: PytorchSide) =>
    line(
      label,
      `${show(tokensPerSecond, 0)} tokens/s, ${mebibytes(peakBytes)}; Longhand ${show(ratio, 2)} times as fast, ${memoryRatio.toFixed(2)} times the memory`,
    );
  const lines = [
    line(
      architecture,
      `context ${context}, batch ${batch}: ${show(own.stepMilliseconds, 0)} ms a step, ${show(own.tokensPerSecond, 0)} tokens/s, ${mebibytes(own.peakBytes)}`,
    ),
  ];
  if (pytorch === null) return lines;
  return [
    ...lines,
    side("  PyTorch", pytorch.asUserRunsIt),
    side("  with huge pages", pytorch.hugePages),
    line(
      "",
      `first losses agree to ${pytorch.lossDifference.toExponential(1)}; waiting processes at most ${percent(idleShare ?? Number.NaN)} of one core`,
    ),
  ];
}

function memoryText({ preset, measurements, bytesPerToken }: MemoryReport): string {
  return [
    `memory: one training step of FLASH, preset ${preset}, one sequence`,
    ...measurements.map(({ context, recompute, peakBytes, estimatedBytes, seconds }) =>
      line(
        `  context ${context}`,
        `recompute ${recompute}: peak ${mebibytes(peakBytes)}, estimated ${mebibytes(estimatedBytes)}, ${seconds.toFixed(0)} s`,
      ),
    ),
    line("a token more", `${bytesPerToken.map((bytes) => (bytes / 1000).toFixed(0)).join(", ")} kB with recomputation`),
  ].join("\n");
}

function idleText(idleShare: number | null): string[] {
  return idleShare === null ? [] : [line("waiting processes", `at most ${percent(idleShare)} of one core`)];
}
