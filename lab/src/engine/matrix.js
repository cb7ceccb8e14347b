// The one matrix product that all passes share.
//
// A processor does not wait for memory if what it multiplies is read in one go. So both factors are first copied into
// panels: 4 rows (columns) side by side, padded with zeros.
import { multiply, reserve } from "./kernel.js";

/** Copy 4 rows of x, which begin at `from` and lie `row` apart, element after element, into a panel at `to`. */
function pack(panel, to, x, from, row, element, rows, depth) {
  if (rows >= 4) {
    const r1 = from + row, r2 = r1 + row, r3 = r2 + row;
    for (let k = 0, j = 0; k < depth; k++, j += element, to += 4) {
      panel[to] = x[from + j];
      panel[to + 1] = x[r1 + j];
      panel[to + 2] = x[r2 + j];
      panel[to + 3] = x[r3 + j];
    }
  } else {
    for (let k = 0, j = from; k < depth; k++, j += element, to += 4) {
      for (let r = 0; r < 4; r++) panel[to + r] = r < rows ? x[j + r * row] : 0;
    }
  }
}

/**
 * C = A B, for A (rows, depth) and B (depth, columns).
 *
 * Element (i, k) of A is a[i aRow + k aDepth], element (k, j) of B is b[bFrom + k bDepth + j bColumn], element (i, j)
 * of C is c[cFrom + i cRow + j].
 */
export function product(rows, columns, depth, a, aRow, aDepth, b, bFrom, bDepth, bColumn, c, cFrom, cRow) {
  const height = (rows + 3) >> 2;
  const atB = 4 * height * depth, atC = atB + 4 * depth;
  const x = reserve(atC + 16 * height);
  for (let i = 0; i < height; i++) pack(x, 4 * i * depth, a, 4 * i * aRow, aRow, aDepth, rows - 4 * i, depth);
  for (let j = 0; j < columns; j += 4) {
    pack(x, atB, b, bFrom + j * bColumn, bColumn, bDepth, columns - j, depth);
    multiply(height, depth, 0, atB, atC);
    if (j + 4 <= columns) {
      for (let i = 0, from = atC, to = cFrom + j; i < rows; i++, from += 4, to += cRow) {
        c[to] = x[from]; c[to + 1] = x[from + 1]; c[to + 2] = x[from + 2]; c[to + 3] = x[from + 3];
      }
    } else {
      for (let i = 0, from = atC, to = cFrom + j; i < rows; i++, from += 4, to += cRow) {
        for (let s = 0; s < columns - j; s++) c[to + s] = x[from + s];
      }
    }
  }
}
