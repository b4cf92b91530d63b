/**
 * The rooms of `src`, from the ground up, and what each may import: other rooms, or single files of them. A room is a
 * folder; it stands after everything that it imports. `npm run check` holds the code to this; tests may import what
 * they like.
 */
export interface Room {
  readonly about: string;
  readonly imports: readonly string[];
}

export interface Rules {
  readonly rooms: Readonly<Record<string, Room>>;
  /** Files of `src` that may need Node; all others run in a browser. A folder ends with a slash, "*.x" ends a name. */
  readonly node: readonly string[];
  /** Packages that run in a browser. */
  readonly browserPackages: readonly string[];
  /** Files of `src` that may name a package beginning with `onnxruntime`; a star stands for the rest of a name. */
  readonly engines: string;
  /** Folders beside `src` that import the package by its public name. */
  readonly byName: readonly string[];
  /** Folders beside `src` that are web pages, and the files of `src` that they are built with. */
  readonly pages: Readonly<Record<string, readonly string[]>>;
  /** Imports that close a circle of types for now: [file, imported file]. One that closes none any more must go. */
  readonly circles: readonly (readonly [string, string])[];
}

const LIBRARY = "base data graph nn models config onnx runtime checkpoint train generate training".split(" ");

export const rules: Rules = {
  rooms: {
    base: { about: "shapes, seeds, files, errors", imports: [] },
    data: { about: "text, tokens, shards, batches", imports: ["base"] },
    graph: { about: "tensors, operators, gradients", imports: ["base"] },
    nn: { about: "layers", imports: ["base", "graph"] },
    models: { about: "architectures", imports: ["base", "graph", "nn"] },
    onnx: { about: "the graph as an ONNX model", imports: ["base", "graph"] },
    runtime: { about: "engines, memory", imports: ["base", "graph", "onnx"] },
    checkpoint: { about: "tensors and runs on disk", imports: ["base"] },
    train: {
      about: "objective, optimiser, loop",
      imports: ["base", "data", "graph", "nn", "checkpoint", "runtime/engine.ts"],
    },
    generate: { about: "decoding, sampling", imports: ["base", "graph", "nn", "runtime/engine.ts"] },
    config: {
      about: "what can be configured",
      imports: [
        "base",
        "data",
        "graph",
        "models",
        "runtime/engine.ts",
        "train/optimizer-config.ts",
        "train/schedule.ts",
      ],
    },
    mpi: { about: "training over processes", imports: ["base", "train/communicator.ts"] },
    use: {
      about: "a trained model in use",
      imports: [
        ...["base", "data", "graph", "nn", "models", "config", "checkpoint", "generate"],
        ...["runtime/engine.ts", "train/carried.ts"],
      ],
    },
    training: {
      about: "a run from its configuration to its last step",
      imports: "base data graph nn models config checkpoint train generate runtime/engine.ts".split(" "),
    },
    run: { about: "what a user asks for", imports: [...LIBRARY, "mpi", "use"] },
    service: { about: "what servers share", imports: ["base"] },
    serve: {
      about: "HTTP",
      imports: ["base", "data", "nn", "models", "config", "checkpoint", "generate", "use", "run", "service"],
    },
    studio: {
      about: "HTTP of the page over a runs folder",
      imports: ["base", "data", "models", "config", "checkpoint", "generate", "use", "run", "service"],
    },
    web: {
      about: "what a web page uses",
      imports: [...LIBRARY.filter((room) => room !== "runtime"), "use", "runtime/engine.ts", "runtime/ort-web.ts"],
    },
    public: { about: "the published library", imports: [...LIBRARY, "use", "run", "web"] },
    cli: { about: "the command line", imports: [...LIBRARY, "mpi", "use", "run", "serve", "studio"] },
  },
  node: [
    ...["*.node.ts", "runtime/ort-node.ts", "data/sources/", "run/", "service/", "serve/", "cli/", "index.ts"],
    ...["runs", "training", "model", "http"].map((folder) => `studio/${folder}/`),
    "studio/studio.ts",
    ...["models", "run", "tools", "train"].map((name) => `public/${name}.ts`),
  ],
  browserPackages: ["zod", "@bufbuild/protobuf", "onnxruntime-web", "@huggingface/tokenizers", "fflate"],
  engines: "runtime/ort-*.ts",
  byName: ["reproduce", "examples"],
  pages: { site: [], studio: ["studio/api.ts", "studio/columns.ts", "config/train-groups.ts"] },
  circles: [],
};
