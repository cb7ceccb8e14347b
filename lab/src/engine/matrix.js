// The one matrix product that all passes share.
//
// A processor does not wait for memory if a tile of 4 x 4 results stays in registers, and if what they are made of is
// read in one go. So both factors are first copied into panels: 4 rows (columns) side by side, padded with zeros.

let panelsA = new Float64Array(0);
let panelB = new Float64Array(0);
const tile = new Float64Array(16);

/**
 * The product of two panels of 4, written to c from `to`, its rows `cRow` apart. One multiplication and addition per
 * cycle is what plain JavaScript can reach, and this does nearly.
 */
function multiplyPanels(depth, a, from, b, c, to, cRow) {
  let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
  let c20 = 0, c21 = 0, c22 = 0, c23 = 0, c30 = 0, c31 = 0, c32 = 0, c33 = 0;
  for (let k = 0, p = from, q = 0; k < depth; k++, p += 4, q += 4) {
    const b0 = b[q], b1 = b[q + 1], b2 = b[q + 2], b3 = b[q + 3];
    const a0 = a[p], a1 = a[p + 1], a2 = a[p + 2], a3 = a[p + 3];
    c00 += a0 * b0; c01 += a0 * b1; c02 += a0 * b2; c03 += a0 * b3;
    c10 += a1 * b0; c11 += a1 * b1; c12 += a1 * b2; c13 += a1 * b3;
    c20 += a2 * b0; c21 += a2 * b1; c22 += a2 * b2; c23 += a2 * b3;
    c30 += a3 * b0; c31 += a3 * b1; c32 += a3 * b2; c33 += a3 * b3;
  }
  c[to] = c00; c[to + 1] = c01; c[to + 2] = c02; c[to + 3] = c03;
  to += cRow;
  c[to] = c10; c[to + 1] = c11; c[to + 2] = c12; c[to + 3] = c13;
  to += cRow;
  c[to] = c20; c[to + 1] = c21; c[to + 2] = c22; c[to + 3] = c23;
  to += cRow;
  c[to] = c30; c[to + 1] = c31; c[to + 2] = c32; c[to + 3] = c33;
}

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
  if (panelsA.length < 4 * height * depth) panelsA = new Float64Array(4 * height * depth);
  if (panelB.length < 4 * depth) panelB = new Float64Array(4 * depth);
  for (let i = 0; i < height; i++) pack(panelsA, 4 * i * depth, a, 4 * i * aRow, aRow, aDepth, rows - 4 * i, depth);
  for (let j = 0; j < columns; j += 4) {
    pack(panelB, 0, b, bFrom + j * bColumn, bColumn, bDepth, columns - j, depth);
    const wide = Math.min(4, columns - j);
    for (let i = 0; i < rows; i += 4) {
      const high = Math.min(4, rows - i), to = cFrom + i * cRow + j;
      if (high === 4 && wide === 4) multiplyPanels(depth, panelsA, i * depth, panelB, c, to, cRow);
      else {
        multiplyPanels(depth, panelsA, i * depth, panelB, tile, 0, 4);
        for (let r = 0; r < high; r++) for (let s = 0; s < wide; s++) c[to + r * cRow + s] = tile[4 * r + s];
      }
    }
  }
}
