/**
 * How much memory a program takes while it runs, from its graph alone: which tensors are alive at each node, in the order
 * in which ONNX Runtime executes. An estimate: the runtime also fuses some nodes, and its arena leaves gaps.
 */
import { bytesPerElement } from "../base/dtype.ts";
import { operators } from "../graph/ops/index.ts";
import type { Program } from "../graph/program.ts";
import type { Node, OperatorNode, Tensor } from "../graph/tensor.ts";
import { LARGEST_INITIALISER_BYTES } from "../onnx/model.ts";
import { fusedProducts } from "../onnx/transposed.ts";

export interface ProgramMemory {
  /** Parameters, batches and constants that are given at every run. */
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** The most that values between inputs and outputs take at a time. */
  readonly peakBytes: number;
}

/** A piece of memory: the tensors that share it one after the other, and the last step that reads one of them. */
interface Block {
  readonly bytes: number;
  readonly shape: string;
  readonly from: number;
  until: number;
  /** Reads of its present tensors that are still to come. */
  reads: number;
}

export function programMemory(program: Program): ProgramMemory {
  const folded = foldedNodes(program);
  const { unread } = fusedProducts(program);
  const isFolded = (node: Node) => node.kind === "operator" && folded.has(node);
  const isView = (node: OperatorNode) => operators[node.name].traits?.view === true || unread.has(node);
  const blocks = planBlocks(executionOrder(program, folded), new Set(program.outputs.values()), isView);
  const sum = (sizes: readonly number[]) => sizes.reduce((total, bytes) => total + bytes, 0);
  const given = program.nodes.filter(({ kind }) => kind !== "operator").map(({ outputs }) => bytesOf(outputs[0]));
  // What is computed once, when the program is loaded, and read at every run; equal values are merged.
  const read = new Set(
    program.nodes.flatMap((node) => (isFolded(node) || node.kind !== "operator" ? [] : node.inputs)),
  );
  const identity = identities(program, folded);
  const keptByIdentity = new Map<number, number>();
  for (const { outputs } of folded) {
    for (const output of outputs) if (read.has(output)) keptByIdentity.set(identity(output), bytesOf(output));
  }
  const kept = [...keptByIdentity.values()];
  return {
    inputBytes: sum(given),
    outputBytes: sum([...program.outputs.values()].map(bytesOf)),
    peakBytes: sum(kept) + peakOf(blocks),
  };
}

function peakOf(blocks: readonly Block[]): number {
  const changes = blocks.flatMap(({ bytes, from, until }) => [
    { at: from, bytes },
    { at: until + 1, bytes: -bytes },
  ]);
  changes.sort((a, b) => a.at - b.at || a.bytes - b.bytes);
  let alive = 0;
  let peak = 0;
  for (const { bytes } of changes) {
    alive += bytes;
    peak = Math.max(peak, alive);
  }
  return peak;
}

/**
 * Where the runtime puts each value: in the place of an input that is read for the last time, if the operator allows it;
 * else in the last block of exactly its shape that has become free, which then exists all the time between; else in a new one.
 */
function planBlocks(
  order: readonly OperatorNode[],
  outputs: ReadonlySet<Tensor>,
  isView: (node: OperatorNode) => boolean,
): Block[] {
  const reads = countReads(order);
  const blocks: Block[] = [];
  const blockOf = new Map<Tensor, Block>();
  const free = new Map<string, Block[]>();
  for (const [at, node] of order.entries()) {
    for (const output of node.outputs) {
      if (outputs.has(output)) continue; // written where the caller wants it
      const shape = `${bytesPerElement[output.dtype]}:${output.shape}`;
      let block = reusedBlock(node, output, blockOf, isView(node)) ?? free.get(shape)?.pop();
      if (block === undefined) {
        block = { bytes: bytesOf(output), shape, from: at, until: at, reads: 0 };
        blocks.push(block);
      }
      block.reads += reads.get(output) ?? 0;
      block.until = at;
      blockOf.set(output, block);
    }
    for (const source of node.inputs) {
      const block = blockOf.get(source);
      if (block === undefined) continue;
      block.reads -= 1;
      block.until = at;
      if (block.reads === 0) free.set(block.shape, [...(free.get(block.shape) ?? []), block]);
    }
  }
  return blocks;
}

/**
 * The order in which the runtime executes: depth first from the nodes that nothing reads, the last of them first; of what
 * a node reads, the node that was written last comes first.
 */
function executionOrder(program: Program, folded: ReadonlySet<OperatorNode> = new Set()): OperatorNode[] {
  const nodes = program.nodes.filter((node) => node.kind === "operator").filter((node) => !folded.has(node));
  const index = new Map(nodes.map((node, i) => [node, i]));
  const before = (node: OperatorNode) => {
    const found = new Set<number>();
    for (const { node: source } of node.inputs) {
      const at = source.kind === "operator" ? index.get(source) : undefined;
      if (at !== undefined) found.add(at);
    }
    return [...found].sort((a, b) => a - b);
  };
  const isRead = new Set(nodes.flatMap((node) => node.inputs.map((source) => source.node)));
  const stack = nodes.filter((node) => !isRead.has(node)).map((node) => ({ node, done: false }));
  const entered = new Set<OperatorNode>();
  const order: OperatorNode[] = [];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, done } = top;
    if (done) order.push(node);
    else if (!entered.has(node)) {
      entered.add(node);
      stack.push({ node, done: true });
      for (const at of before(node)) if (!entered.has(nodes[at])) stack.push({ node: nodes[at], done: false });
    }
  }
  return order;
}

/** Small constants stand in the model, and what depends on nothing else is computed when it is loaded. */
function foldedNodes({ nodes }: Program): Set<OperatorNode> {
  const folded = new Set<OperatorNode>();
  for (const node of nodes) {
    if (node.kind !== "operator") continue;
    const fixed = (tensor: Tensor) =>
      tensor.node.kind === "constant"
        ? bytesOf(tensor) <= LARGEST_INITIALISER_BYTES
        : tensor.node.kind === "operator" && folded.has(tensor.node);
    if (node.inputs.every(fixed)) folded.add(node);
  }
  return folded;
}

/** A number for each folded value and small constant, the same for equal ones. */
function identities({ nodes }: Program, folded: ReadonlySet<OperatorNode>): (tensor: Tensor) => number {
  const numbers = new Map<string, number>();
  const ofTensor = new Map<Tensor, number>();
  const identity = (tensor: Tensor) => ofTensor.get(tensor) ?? -1;
  for (const node of nodes) {
    let text: string;
    if (node.kind === "constant" && bytesOf(node.outputs[0]) <= LARGEST_INITIALISER_BYTES) text = node.data.join();
    else if (node.kind === "operator" && folded.has(node))
      text = `${node.name} ${JSON.stringify(node.attributes)} ${node.inputs.map(identity)}`;
    else continue;
    for (const [k, output] of node.outputs.entries()) {
      const key = `${k} ${output.dtype} ${output.shape} ${text}`;
      const number = numbers.get(key) ?? numbers.size;
      numbers.set(key, number);
      ofTensor.set(output, number);
    }
  }
  return identity;
}

function countReads(order: readonly OperatorNode[]): Map<Tensor, number> {
  const reads = new Map<Tensor, number>();
  for (const node of order) for (const source of node.inputs) reads.set(source, (reads.get(source) ?? 0) + 1);
  return reads;
}

/** The block of an input that the output can be written into: of its size, and read here for the last time. */
function reusedBlock(
  node: OperatorNode,
  output: Tensor,
  blocks: ReadonlyMap<Tensor, Block>,
  view: boolean,
): Block | undefined {
  const { inPlace = false } = operators[node.name].traits ?? {};
  if (!view && !inPlace) return undefined;
  for (const source of node.inputs) {
    const block = blocks.get(source);
    if (block === undefined) continue;
    if (view) return block;
    const here = node.inputs.filter((other) => blocks.get(other) === block).length;
    if (block.bytes === bytesOf(output) && block.reads === here) return block;
  }
  return undefined;
}

function bytesOf({ dtype, size }: Tensor): number {
  return size * bytesPerElement[dtype];
}
