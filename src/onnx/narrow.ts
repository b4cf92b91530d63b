/**
 * Concat and Split of many parts as trees of nodes with few parts, for devices that limit the buffers of a kernel:
 * WebGPU guarantees 8 storage buffers (https://www.w3.org/TR/webgpu/#limits, maxStorageBuffersPerShaderStage), and a
 * Concat or Split needs one for each part and one for the whole.
 */

/** One node of the tree: `parts` make up `whole` along the axis. */
export interface Join {
  readonly whole: string;
  readonly parts: readonly string[];
  /** Elements of each part along the axis. */
  readonly sizes: readonly number[];
}

/**
 * The tree for one join: nodes of at most `most` (2 or more) parts, inner ones first, as Concat computes them; Split
 * needs the reverse order. `name` names the intermediate tensors.
 */
export function narrowJoins({ whole, parts, sizes }: Join, most: number, name: (index: number) => string): Join[] {
  const nodes: Join[] = [];
  let [names, lengths] = [parts, sizes];
  while (names.length > most) {
    const [joined, sums]: [string[], number[]] = [[], []];
    for (let i = 0; i < names.length; i += most) {
      const node: Join = {
        whole: name(nodes.length),
        parts: names.slice(i, i + most),
        sizes: lengths.slice(i, i + most),
      };
      if (node.parts.length > 1) nodes.push(node);
      joined.push(node.parts.length > 1 ? node.whole : node.parts[0]);
      sums.push(node.sizes.reduce((sum, size) => sum + size, 0));
    }
    [names, lengths] = [joined, sums];
  }
  nodes.push({ whole, parts: names, sizes: lengths });
  return nodes;
}
