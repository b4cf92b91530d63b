/**
 * Reads tokens into a state: chooses the program for the tokens at hand, fills its inputs, runs it and stores what
 * changed. One text or many, at any positions; what an architecture remembers and computes is its own (nn/decoding.ts).
 */
import type { DecodingArchitecture, Readout, StateProgram, StepRequest } from "../nn/decoding.ts";
import { fillAngles, frequencies } from "../nn/positions.ts";
import type { InputsByName } from "../runtime/engine.ts";
import type { Compiled, DecodingPrograms } from "./programs.ts";
import { ResidentState } from "./resident-state.ts";
import { DecodingState, type StorePlan } from "./state.ts";

/** A program with the arrays of all its inputs: those of the state, and those that are filled anew for every run. */
interface Pass {
  readonly compiled: Compiled;
  readonly plan: StorePlan;
  readonly all: InputsByName;
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
  readonly places: Angles;
  readonly rotations: Angles;
  /** open, position, closed, count: [B] each. */
  readonly standing: readonly Float32Array[];
}

interface Angles {
  readonly frequencies: Float64Array;
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

const keyOf = ({ texts, room }: Pick<StepRequest, "texts" | "room">) => `${texts} ${room.tokens} ${room.spans}`;

interface ReadRequest {
  /** The next tokens of each text; none for a text that rests. The first few of each are read. */
  readonly tokens: readonly Int32Array[];
  readonly readout: Readout;
  /** For losses: what follows each token. */
  readonly targets?: readonly Int32Array[];
}

interface ReadResult {
  /** How many tokens of each text were read: of one at least one; call again with the rest. */
  readonly counts: readonly number[];
  /** See Readout; overwritten by the next call. */
  readonly result: Float32Array;
}

/** Tokens read at once in a prefill, and bytes of its logits when all are wanted. */
const PREFILL_TOKENS = 1024;
const LOGITS_BYTES = 64 << 20;
/** Tokens of a step of several: sizes at which reading the weights no longer dominates. */
const STEPS = [64, 256];
/** Up to this many tokens, steps of one cost less than the smallest of several. */
const FEW_TOKENS = 3;

export class TokenReader {
  /** Where the texts stand, and on a CPU the state itself. */
  readonly state: DecodingState;
  readonly #resident: ResidentState | undefined;
  readonly #architecture: DecodingArchitecture;
  readonly #programs: DecodingPrograms;
  readonly #passes = new Map<string, Pass>();
  /** Of the state's arrays that the passes hold. */
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
    const shape = { texts: tokens.length, tokens: P, padded, readout, ...this.#kind };
    const pass = await this.#pass(spans > 0 ? "prefill" : "step", shape, form);
    this.#fill(pass, request, counts);
    const result = await this.#run(pass, counts);
    if (spans === 0) await this.#close(counts);
    return { counts, result };
  }

  /** Changes the state on the host. */
  async onHost(change: () => void): Promise<void> {
    await this.#resident?.bringHome();
    change();
  }

  /** Makes a text here what `text` of another reader of the same architecture is. */
  async copyFrom(other: TokenReader, text: number, here: number): Promise<void> {
    await other.#resident?.bringHome();
    await this.onHost(() => this.state.copyFrom(other.state, text, here));
  }

  /** Back to the start of all texts. */
  reset(): void {
    this.#resident?.release();
    this.state.resetAll();
  }

  /** Gives up what is on the device. */
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

  /** What a program has as inputs. */
  #ofProgram<T>({ inputs }: Compiled, given: Readonly<Record<string, T>>): Record<string, T> {
    return Object.fromEntries(Object.entries(given).filter(([name]) => inputs.has(name)));
  }

  /** Tokens that fit into the open span. */
  #left(text: number): number {
    return this.#architecture.span - this.state.open(text);
  }

  /** Whole spans that every text can take now; a power of two, so that there are few different programs. */
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

  /** The largest step that the span allows when there are more tokens, else the smallest that holds them. */
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
      const { host } = await compiled.run.run(this.#ofProgram(compiled, state.arrays));
      state.storeClosed(host.changes as Float32Array, state.planOf(compiled.changed), full);
      return;
    }
    const closed = Float32Array.from(counts, (_, text) => state.closed(text) - 1);
    const count = Float32Array.from(counts, (_, text) => Number(full.has(text)));
    const given: InputsByName = { ...(await this.#resident.tensors()), closed, count };
    this.#resident.take((await compiled.run.run(this.#ofProgram(compiled, given))).device);
  }

  async #pass(form: string, shape: StepRequest, build: (request: StepRequest) => StateProgram): Promise<Pass> {
    if (this.#generation !== this.state.generation) this.#passes.clear(); // they hold the arrays
    this.#generation = this.state.generation;
    const key = `${form} ${shape.tokens} ${shape.padded} ${shape.readout} ${keyOf(shape)}`;
    const found = this.#passes.get(key);
    if (found) return found;
    const compiled = await this.#programs.get(key, () => build(shape));
    const { width, rotaryPairs } = this.#architecture;
    const { texts: B, tokens: P } = shape;
    const angleArrays = (pairs: number): Angles => ({
      frequencies: frequencies(pairs),
      cos: new Float32Array(B * P * pairs),
      sin: new Float32Array(B * P * pairs),
    });
    const [places, rotations] = [angleArrays(width / 2), angleArrays(rotaryPairs)];
    const [tokens, targets] = [new Int32Array(B * P), new Int32Array(B * P)];
    const standing = [0, 1, 2, 3].map(() => new Float32Array(B));
    const [open, position, closed, count] = standing;
    const given: InputsByName = {
      ...compiled.parameters,
      ...(this.#resident ? {} : this.state.arrays),
      ...{ tokens, targets, open, position, closed, count },
      ...{ "position.cos": places.cos, "position.sin": places.sin },
      ...{ "rotation.cos": rotations.cos, "rotation.sin": rotations.sin },
    };
    const all = this.#ofProgram(compiled, given);
    const pass = {
      compiled,
      plan: this.state.planOf(compiled.changed),
      all,
      tokens,
      targets,
      places,
      rotations,
      standing,
    };
    this.#passes.set(key, pass);
    return pass;
  }

  /** Texts are padded with token 0, which nothing sees. */
  #fill(pass: Pass, { tokens, targets }: ReadRequest, counts: readonly number[]): void {
    const { state } = this;
    const P = pass.tokens.length / state.texts;
    const [open, position, closed, count] = pass.standing;
    for (const [text, own] of tokens.entries()) {
      const at = text * P;
      pass.tokens.fill(0, at, at + P).set(own.subarray(0, counts[text]), at);
      const next = targets?.[text];
      if (next) pass.targets.fill(0, at, at + P).set(next.subarray(0, counts[text]), at);
      open[text] = state.open(text);
      position[text] = state.position(text);
      closed[text] = state.closed(text);
      count[text] = counts[text];
      for (const { frequencies, cos, sin } of [pass.places, pass.rotations]) {
        fillAngles({ cos, sin }, { frequencies, start: state.position(text), count: P, at });
      }
    }
  }
}
