/** Training in a page: runs that lie in the browser, trained in a worker of their own. */
import { LonghandError } from "../base/errors.ts";
import type { TrainResult } from "../training/run-training.ts";
import { WorkerCalls } from "./calls.ts";
import type { PickedFile } from "./run-archive.ts";
import type {
  ContinuedTraining,
  NewTraining,
  RunList,
  RunText,
  TrainerEvent,
  TrainProtocol,
} from "./train-protocol.ts";

export interface TrainerOptions {
  /** Makes the worker, where the bundler cannot: of the module longhand/web/train-worker. */
  readonly worker?: (() => Worker) | undefined;
}

/** Trains, continues or writes one thing at a time; a second is a "usage" error. */
export interface WebTrainer {
  /** The runs that lie in this browser, and whether they stay when the page is closed. */
  list(): Promise<RunList>;
  /**
   * Makes a run of a text: its tokenizer and tokens; nothing is trained yet. Returns its name. Throws "usage" for wrong
   * settings, "data" for a text that cannot be used.
   */
  begin(training: NewTraining, onEvent?: (event: TrainerEvent) => void): Promise<string>;
  /** Trains a run from where it is to its last step, or until `stop`. */
  train(training: ContinuedTraining, onEvent?: (event: TrainerEvent) => void): Promise<TrainResult>;
  /** Ends what is under way: training after its current step, with a checkpoint; writing after its current token. */
  stop(): Promise<void>;
  /** Text by the newest checkpoint of a run, told in pieces. */
  write(text: RunText, onText?: (piece: string) => void): Promise<string>;
  /** What was noted while a run was trained: the lines of metrics.jsonl. */
  records(name: string): Promise<readonly string[]>;
  /** A run folder with its newest checkpoint as a zip file, which longhand in Node reads once it is unpacked. */
  download(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Takes in a run, zipped or as the files of its folder. Returns its name. Throws "checkpoint" or "config" for what is none. */
  upload(files: readonly File[]): Promise<string>;
  remove(name: string): Promise<void>;
  /** Ends the worker where it is: a training goes on from its last checkpoint another time. */
  close(): void;
}

/** A file that is sent to a worker leaves its path behind. */
const pickedFile = (file: File): PickedFile => ({ path: file.webkitRelativePath || file.name, file });

const defaultWorker = () => new Worker(new URL("./train-worker.js", import.meta.url), { type: "module" });

export function openTrainer({ worker = defaultWorker }: TrainerOptions = {}): WebTrainer {
  const calls = new WorkerCalls<TrainProtocol>(worker());
  return {
    list: () => calls.call("list", undefined),
    begin: (training, onEvent) => calls.call("begin", training, onEvent),
    train: (training, onEvent) => calls.call("train", training, onEvent),
    stop: () => calls.call("stop", undefined).then(() => {}),
    write: (text, onText) => calls.call("write", text, onText),
    records: (name) => calls.call("records", name),
    download: (name) => calls.call("download", name),
    upload: (files) => calls.call("upload", files.map(pickedFile)),
    remove: (name) => calls.call("remove", name).then(() => {}),
    close: () => calls.end(new LonghandError("usage", "trainer: used after it was closed")),
  };
}
