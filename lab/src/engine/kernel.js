// The inner loop of all matrix products, in two forms that give the same bits: WebAssembly's, which computes two
// numbers in one instruction, and plain JavaScript's, for browsers without such instructions. Both multiply and add in
// the order of k, and round after each, as IEEE 754 says.
//
// C = A B for panels in one memory: A as `tiles` panels of 4 rows, side by side for each k, B as one panel of 4
// columns, C as `tiles` blocks of 4 x 4: such a block stays in the processor's registers. Places are counted in numbers
// of 8 bytes.

/** The plain form. */
export function plainKernel(x, tiles, depth, a, b, c) {
  for (let p = a; tiles > 0; tiles--, c += 16) {
    let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
    let c20 = 0, c21 = 0, c22 = 0, c23 = 0, c30 = 0, c31 = 0, c32 = 0, c33 = 0;
    for (let k = 0, q = b; k < depth; k++, p += 4, q += 4) {
      const b0 = x[q], b1 = x[q + 1], b2 = x[q + 2], b3 = x[q + 3];
      const a0 = x[p], a1 = x[p + 1], a2 = x[p + 2], a3 = x[p + 3];
      c00 += a0 * b0; c01 += a0 * b1; c02 += a0 * b2; c03 += a0 * b3;
      c10 += a1 * b0; c11 += a1 * b1; c12 += a1 * b2; c13 += a1 * b3;
      c20 += a2 * b0; c21 += a2 * b1; c22 += a2 * b2; c23 += a2 * b3;
      c30 += a3 * b0; c31 += a3 * b1; c32 += a3 * b2; c33 += a3 * b3;
    }
    x[c] = c00; x[c + 1] = c01; x[c + 2] = c02; x[c + 3] = c03;
    x[c + 4] = c10; x[c + 5] = c11; x[c + 6] = c12; x[c + 7] = c13;
    x[c + 8] = c20; x[c + 9] = c21; x[c + 10] = c22; x[c + 11] = c23;
    x[c + 12] = c30; x[c + 13] = c31; x[c + 14] = c32; x[c + 15] = c33;
  }
}

/** The bytes of a WebAssembly module whose function `multiply(tiles, depth, a, b, c)` is the fast form. */
function assemble() {
  const number = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...number(n >> 7)]); // LEB128, unsigned
  const list = (items) => [...number(items.length), ...items.flat()];
  const section = (id, items) => [id, ...list(list(items))];
  const [I32, V128] = [0x7f, 0x7b];
  const [tiles, depth, a, b, c, q, end, left, right, both] = [...Array(10).keys()]; // a, b, c, q, end: places in bytes
  const sum = (i) => 10 + i; // 8 sums of two numbers: those of a row are neighbours
  const get = (local) => [0x20, local], set = (local) => [0x21, local];
  const constant = (n) => [0x41, ...(n < 64 ? [n] : [(n & 127) | 128, n >> 7])]; // LEB128, signed
  const plus = 0x6a, minus = 0x6b, times = 0x6c, less = 0x49, repeat = [0x03, 0x40], againIf = [0x0d, 0], close = 0x0b;
  const vector = (code, ...more) => [0xfd, ...number(code), ...more];
  const load = (offset) => vector(0, 3, offset), twice = (offset) => vector(10, 3, offset);
  const store = (offset) => vector(11, 3, offset), zero = vector(12, ...Array(16).fill(0));
  const multiplied = vector(0xf2), added = vector(0xf0);
  const move = (local, n) => [...get(local), ...constant(n), plus, ...set(local)];
  const sums = [...Array(8).keys()];
  const rows = [0, 1, 2, 3].flatMap((r) => [
    ...get(a), ...twice(8 * r), ...set(both),
    ...[left, right].flatMap((half, i) => [
      ...get(sum(2 * r + i)), ...get(both), ...get(half), ...multiplied, ...added, ...set(sum(2 * r + i)),
    ]),
  ]);
  const body = [
    ...get(b), ...get(depth), ...constant(32), times, plus, ...set(end),
    ...repeat, // for each panel of A
    ...sums.flatMap((i) => [...zero, ...set(sum(i))]), ...get(b), ...set(q),
    ...repeat, // for each k: 4 rows of A's panel, each twice, times two halves of B's
    ...get(q), ...load(0), ...set(left), ...get(q), ...load(16), ...set(right), ...rows, ...move(a, 32), ...move(q, 32),
    ...get(q), ...get(end), less, ...againIf, close,
    ...sums.flatMap((i) => [...get(c), ...get(sum(i)), ...store(16 * i)]), ...move(c, 128),
    ...get(tiles), ...constant(1), minus, 0x22, tiles, ...againIf, close,
    close,
  ];
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // "\0asm", version 1
    ...section(1, [[0x60, 5, I32, I32, I32, I32, I32, 0]]), // the function's type: five integers, no result
    ...section(2, [[1, 0x6d, 1, 0x6d, 2, 0, 1]]), // the memory "m" of "m", of at least one page
    ...section(3, [[0]]), ...section(7, [[1, 0x66, 0, 0]]), // the function, exported as "f"
    ...section(10, [list([[2, 2, I32, 11, V128], body].flat().map((byte) => [byte]))]),
  ]);
}

/** The memory (pages of 64 kB) and the fast form in it; nothing where a browser lacks them or a page forbids them. */
function compiled() {
  try {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(assemble());
    return { memory, fast: new WebAssembly.Instance(module, { m: { m: memory } }).exports.f };
  } catch {
    return {};
  }
}

const { memory, fast } = compiled();
let numbers = new Float64Array(0);

/** The numbers of the memory, at least so many; earlier ones are lost where it has to grow. */
export function reserve(count) {
  if (numbers.length < count) {
    const pages = memory ? Math.ceil((8 * count - memory.buffer.byteLength) / 65536) : 0;
    if (pages > 0) memory.grow(pages);
    numbers = new Float64Array(memory ? memory.buffer : count);
  }
  return numbers;
}

/** multiply(tiles, depth, a, b, c) in that memory. */
export const multiply = fast
  ? (tiles, depth, a, b, c) => fast(tiles, depth, 8 * a, 8 * b, 8 * c)
  : (tiles, depth, a, b, c) => plainKernel(numbers, tiles, depth, a, b, c);
