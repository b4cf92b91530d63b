/** Muon's update of linear maps (Jordan et al. 2024) in float64, by plain loops. */

type Matrix = number[][];
const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));
const transposed = (a: Matrix): Matrix => a[0].map((_, j) => a.map((row) => row[j]));

/** The published iteration on each map of `columns` side by side, in rows of `width`. */
export function muonReference(direction: Float64Array, width: number, columns: readonly number[]): Float64Array {
  const update = new Float64Array(direction.length);
  let from = 0;
  for (const own of columns) {
    let x: Matrix = Array.from({ length: direction.length / width }, (_, r) => [
      ...direction.slice(r * width + from, r * width + from + own),
    ]);
    const norm = Math.sqrt(x.flat().reduce((sum, value) => sum + value * value, 0));
    x = x.map((row) => row.map((value) => value / (norm + 1e-7)));
    for (let i = 0; i < 5; i++) {
      const gram = times(x, transposed(x));
      const [third, fifth] = [times(gram, x), times(gram, times(gram, x))];
      x = x.map((row, r) => row.map((value, c) => 3.4445 * value - 4.775 * third[r][c] + 2.0315 * fifth[r][c]));
    }
    const size = 0.2 * Math.sqrt(Math.max(x.length, own));
    for (const [r, row] of x.entries())
      for (const [c, value] of row.entries()) update[r * width + from + c] = size * value;
    from += own;
  }
  return update;
}
