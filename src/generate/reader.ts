/**
 * Reads tokens into a state: chooses a program for the next tokens, fills its inputs, runs it and stores the changes.
 * For one text or many, at any positions, and any architecture (nn/decoding.ts).
 */
import type { DecodingArchitecture, Readout, StateProgram, StepRequest } from "../nn/decoding.ts";
import { fillAngles, frequencies } from "../nn/positions.ts";
import type { InputsByName } from "../runtime/engine.ts";
import type { Compiled, DecodingPrograms } from "./programs.ts";
import { ResidentState } from "./resident-state.ts";
import { DecodingState, type StorePlan } from "./state.ts";

/** A program with the arrays of all its inputs: those of the state, and those that are filled for every run. */
interface Pass {
  readonly compiled: Compiled;
  readonly plan: StorePlan;
  readonly all: InputsByName;
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
  /** Of positions and of rotations, as far as the program has them as inputs. */
  readonly angles: readonly Angles[];
  /** open, position, closed, count: [B] each. */
  readonly numbers: readonly Float32Array[];
}

interface Angles {
  readonly frequencies: Float64Array;
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

const keyOf = ({ texts, room }: Pick<StepRequest, "texts" | "room">) => `${texts} ${room.tokens} ${room.spans}`;

interface ReadRequest {
  /** The next tokens of each text, or none. As many as one program takes are read, from the first on. */
  readonly tokens: readonly Int32Array[];
  readonly readout: Readout;
  /** For losses: the token that follows each. */
  readonly targets?: readonly Int32Array[];
}

interface ReadResult {
  /** How many tokens of each text were read, at least one of any text. Call again with the others. */
  readonly counts: readonly number[];
  /** See Readout. The next call overwrites it. */
  readonly result: Float32Array;
}

/** The most tokens of a prefill, and the most bytes of its logits when those of all tokens are wanted. */
const PREFILL_TOKENS = 1024;
const LOGITS_BYTES = 64 << 20;
/** Sizes of a step of several tokens: large enough that reading the weights does not dominate. */
const STEPS = [64, 256];
/** Up to so many tokens, steps of one token cost less than the smallest step of several. */
const FEW_TOKENS = 3;

export class TokenReader {
  /** The positions of the texts, and on a CPU the state itself. */
  readonly state: DecodingState;
  readonly #resident: ResidentState | undefined;
  readonly #architecture: DecodingArchitecture;
  readonly #programs: DecodingPrograms;
  readonly #passes = new Map<string, Pass>();
  /** The generation of the state's arrays that the passes hold. */
  #generation = 0;

  constructor(architecture: DecodingArchitecture, programs: DecodingPrograms, texts: number) {
    this.#architecture = architecture;
    this.#programs = programs;
    this.state = new DecodingState(architecture, texts);
    this.#resident = programs.resident ? new ResidentState(programs.engine, architecture, this.state) : undefined;
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const { tokens, readout } = request;
    const { state } = this;
    const { prefill, step } = this.#architecture;
    const spans = prefill ? this.#spansToPrefill(request) : 0;
    const P = spans > 0 ? spans * this.#architecture.span : this.#stepSize(tokens);
    const counts = tokens.map((own, text) => (spans > 0 ? P : Math.min(P, own.length, this.#left(text))));
    if (state.roomFor(counts) !== state.room) await this.onHost(() => state.makeRoom(counts));
    const padded = counts.some((count) => count < P);
    const form = spans > 0 && prefill ? prefill : step;
    const turned = tokens.length > 1 && P === 1 && this.#programs.engine.device === "cpu";
    const shape = { texts: tokens.length, tokens: P, padded, readout, turned, ...this.#kind };
    const pass = await this.#pass(spans > 0 ? "prefill" : "step", shape, form);
    this.#fill(pass, request, counts);
    const result = await this.#run(pass, counts);
    if (spans === 0) await this.#close(counts);
    return { counts, result };
  }

  /** Runs `change` with the state on the host. */
  async onHost(change: () => void): Promise<void> {
    await this.#resident?.moveToHost();
    change();
  }

  /** Copies `text` of another reader of the same architecture to text `here`. */
  async copyFrom(other: TokenReader, text: number, here: number): Promise<void> {
    await other.#resident?.moveToHost();
    await this.onHost(() => this.state.copyFrom(other.state, text, here));
  }

  /** Starts new texts in place of all. */
  reset(): void {
    this.#resident?.release();
    this.state.resetAll();
  }

  /** Frees the tensors on the device. */
  release(): void {
    this.#resident?.release();
  }

  get #kind() {
    return { room: this.state.room, whole: this.#resident !== undefined };
  }

  async #run({ compiled, all, plan }: Pass, counts: readonly number[]): Promise<Float32Array> {
    if (this.#resident === undefined) {
      const { host } = await compiled.run.run(all);
      this.state.store(host.changes as Float32Array, plan, counts);
      return host.result as Float32Array;
    }
    const { host, device } = await compiled.run.run({
      ...all,
      ...this.#ofProgram(compiled, await this.#resident.tensors()),
    });
    this.#resident.take(device);
    this.state.advance(counts);
    return host.result as Float32Array;
  }

  /** Those values that the program has as inputs. */
  #ofProgram<T>({ inputs }: Compiled, values: Readonly<Record<string, T>>): Record<string, T> {
    return Object.fromEntries(Object.entries(values).filter(([name]) => inputs.has(name)));
  }

  /** Tokens that the open span still has room for. */
  #left(text: number): number {
    return this.#architecture.span - this.state.open(text);
  }

  /** How many whole spans every text can read now: a power of two, so that there are few different programs, or 0. */
  #spansToPrefill({ tokens, readout }: ReadRequest): number {
    const { span, vocabSize } = this.#architecture;
    const most =
      readout === "all" ? Math.min(PREFILL_TOKENS, Math.floor(LOGITS_BYTES / 4 / vocabSize)) : PREFILL_TOKENS;
    const spans = tokens.map((own, text) =>
      this.state.open(text) === 0 && own.length >= span
        ? Math.max(1, Math.floor(Math.min(most, own.length) / span))
        : 0,
    );
    const least = Math.min(...spans);
    return least === 0 ? 0 : 2 ** Math.floor(Math.log2(least));
  }

  /** The size of the smallest step that holds the next tokens, or of the largest when there are more of them. */
  #stepSize(tokens: readonly Int32Array[]): number {
    const most = Math.max(...tokens.map((own, text) => Math.min(own.length, this.#left(text))));
    if (most <= FEW_TOKENS) return 1;
    const sizes = STEPS.map((size) => Math.min(size, this.#architecture.span));
    return sizes.find((size) => size >= most) ?? sizes[sizes.length - 1];
  }

  async #close(counts: readonly number[]): Promise<void> {
    const { close } = this.#architecture;
    const { state } = this;
    const full = new Set(counts.flatMap((count, text) => (count > 0 && state.open(text) === 0 ? [text] : [])));
    if (close === undefined || full.size === 0) return;
    const shape = { texts: state.texts, ...this.#kind };
    const compiled = await this.#programs.get(`close ${keyOf(shape)}`, () => close(shape));
    if (this.#resident === undefined) {
      const { host } = await compiled.run.run({ ...compiled.parameters, ...this.#ofProgram(compiled, state.arrays) });
      state.storeClosed(host.changes as Float32Array, state.planOf(compiled.changed), full);
      return;
    }
    const closed = Float32Array.from(counts, (_, text) => state.closed(text) - 1);
    const count = Float32Array.from(counts, (_, text) => Number(full.has(text)));
    const given: InputsByName = { ...(await this.#resident.tensors()), closed, count };
    const { device } = await compiled.run.run({ ...compiled.parameters, ...this.#ofProgram(compiled, given) });
    this.#resident.take(device);
  }

  async #pass(form: string, shape: StepRequest, build: (request: StepRequest) => StateProgram): Promise<Pass> {
    if (this.#generation !== this.state.generation) this.#passes.clear(); // they hold the old arrays
    this.#generation = this.state.generation;
    const key = `${form} ${shape.tokens} ${shape.padded} ${shape.readout} ${keyOf(shape)}`;
    const known = this.#passes.get(key);
    if (known) return known;
    const compiled = await this.#programs.get(key, () => build(shape));
    const { width, rotaryPairs } = this.#architecture;
    const { texts: B, tokens: P } = shape;
    const angles = Object.entries({ position: width / 2, rotation: rotaryPairs })
      .filter(([name]) => compiled.inputs.has(`${name}.cos`))
      .map(([name, pairs]) => ({
        name,
        frequencies: frequencies(pairs),
        cos: new Float32Array(B * P * pairs),
        sin: new Float32Array(B * P * pairs),
      }));
    const [tokens, targets] = [new Int32Array(B * P), new Int32Array(B * P)];
    const numbers = [0, 1, 2, 3].map(() => new Float32Array(B));
    const [open, position, closed, count] = numbers;
    const given: InputsByName = {
      ...compiled.parameters,
      ...(this.#resident ? {} : this.state.arrays),
      ...{ tokens, targets, open, position, closed, count },
      ...Object.fromEntries(
        angles.flatMap(({ name, cos, sin }) => [
          [`${name}.cos`, cos],
          [`${name}.sin`, sin],
        ]),
      ),
    };
    const all = this.#ofProgram(compiled, given);
    const pass = {
      compiled,
      plan: this.state.planOf(compiled.changed),
      all,
      tokens,
      targets,
      angles,
      numbers,
    };
    this.#passes.set(key, pass);
    return pass;
  }

  /** Pads texts with token 0, which no token sees. */
  #fill(pass: Pass, { tokens, targets }: ReadRequest, counts: readonly number[]): void {
    const { state } = this;
    const P = pass.tokens.length / state.texts;
    const [open, position, closed, count] = pass.numbers;
    for (const [text, own] of tokens.entries()) {
      const at = text * P;
      pass.tokens.fill(0, at, at + P).set(own.subarray(0, counts[text]), at);
      const next = targets?.[text];
      if (next) pass.targets.fill(0, at, at + P).set(next.subarray(0, counts[text]), at);
      open[text] = state.open(text);
      position[text] = state.position(text);
      closed[text] = state.closed(text);
      count[text] = counts[text];
      for (const { frequencies, cos, sin } of pass.angles) {
        fillAngles({ cos, sin }, { frequencies, start: state.position(text), count: P, at });
      }
    }
  }
}
