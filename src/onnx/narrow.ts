/**
 * Wide joins and splits as trees of narrow ones, for devices whose kernels may only bind so many buffers: WebGPU
 * promises 8 of storage (https://www.w3.org/TR/webgpu/#limits, maxStorageBuffersPerShaderStage), and a Concat or Split
 * binds one for each part and one for the whole.
 */

/** One node of the tree: `parts` make up `whole` along the axis. */
export interface Join {
  readonly whole: string;
  readonly parts: readonly string[];
  /** Elements of each part along the axis. */
  readonly sizes: readonly number[];
}

/**
 * Nodes of at most `most` (2 or more) parts that make up one join, inner ones first: the order in which a Concat
 * computes; a Split takes them backwards. `name` gives a name to each tensor between.
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
