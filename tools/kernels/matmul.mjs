// The matrix product of the wasm backend as WebAssembly text: c[M, N] = a[M, K] b[K, N] with any strides, for a row of matrices.
// b is packed into panels [512, 8] that lie in cache; a tile of 4 rows x 8 columns of c stays in registers over a panel, and is taken
// up again for the next 512 of K. So each element of c is one chain of additions over ascending k, whatever lies beside it: a row's
// bits don't depend on its company, nor on how K was cut.
import wabt from 'wabt';

const rows = [0, 1, 2, 3];
const halves = [0, 1];
const lanes = (...lanesOf) => lanesOf.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)).join(' ');

/** One k: two vectors of b, four broadcast elements of a. Offsets in bytes from the running addresses. */
const step = (bOffset, aOffset) => `
      ${halves.map((h) => `(local.set $b${h} (v128.load offset=${bOffset + 16 * h} (local.get $b)))`).join(' ')}
      ${rows
        .map(
          (r) => `(local.set $x (v128.load32_splat offset=${aOffset} (local.get $a${r})))
      ${halves.map((h) => `(local.set $c${r}${h} (f32x4.add (local.get $c${r}${h}) (f32x4.mul (local.get $x) (local.get $b${h}))))`).join('\n      ')}`,
        )
        .join('\n      ')}`;

/** `while (condition) { body }` */
const loop = (name, condition, body) => `(block $${name}End (loop $${name} (br_if $${name}End (i32.eqz ${condition}))${body}
      (br $${name})))`;
const advance = (name, by) => `(local.set $${name} (i32.add (local.get $${name}) ${by}))`;
const bytes = (count) => `(i32.mul ${count} (i32.const 4))`;

const tile = `
  ;; c[rows <= 4, 8] = a[rows, k] panel[k, 8], on top of what c holds where there is $more to it
  (func $tile (param $a0 i32) (param $aRow i32) (param $aColumn i32) (param $b i32) (param $k i32) (param $c i32) (param $cRow i32) (param $rows i32) (param $more i32)
    ${rows
      .slice(1)
      .map((r) => `(local $a${r} i32)`)
      .join(' ')} (local $at i32) (local $b0 v128) (local $b1 v128) (local $x v128)
    ${rows.flatMap((r) => halves.map((h) => `(local $c${r}${h} v128)`)).join(' ')}
    ;; rows past the last read the last again; they are not stored
    ${rows
      .slice(1)
      .map(
        (r) =>
          `(local.set $a${r} (select (i32.add (local.get $a${r - 1}) (local.get $aRow)) (local.get $a${r - 1}) (i32.gt_s (local.get $rows) (i32.const ${r}))))`,
      )
      .join('\n    ')}
    (if (local.get $more) (then (local.set $at (local.get $c)) ${rows
      .map(
        (r) =>
          `${halves.map((h) => `(local.set $c${r}${h} (v128.load offset=${16 * h} (local.get $at)))`).join(' ')} ${
            r < 3
              ? `(local.set $at (select (i32.add (local.get $at) (local.get $cRow)) (local.get $at) (i32.gt_s (local.get $rows) (i32.const ${r + 1}))))`
              : ''
          }`,
      )
      .join('\n      ')}))
    ${[
      [4, 16],
      [16, 64],
    ]
      .map(
        ([column, four]) =>
          `(if (i32.eq (local.get $aColumn) (i32.const ${column})) (then ${loop(
            `four${column}`,
            '(i32.ge_s (local.get $k) (i32.const 4))',
            `${[0, 1, 2, 3].map((u) => step(u * 32, u * column)).join('')}
      ${rows.map((r) => advance(`a${r}`, `(i32.const ${four})`)).join(' ')}
      ${advance('b', '(i32.const 128)')} ${advance('k', '(i32.const -4)')}`,
          )}))`,
      )
      .join('\n    ')}
    ${loop(
      'one',
      '(local.get $k)',
      `${step(0, 0)}
      ${rows.map((r) => advance(`a${r}`, '(local.get $aColumn)')).join(' ')}
      ${advance('b', '(i32.const 32)')} ${advance('k', '(i32.const -1)')}`,
    )}
    ${rows
      .map((r) => {
        const store = halves.map((h) => `(v128.store offset=${16 * h} (local.get $c) (local.get $c${r}${h}))`).join(' ');
        return r === 0 ? store : `(if (i32.le_s (local.get $rows) (i32.const ${r})) (then (return))) ${advance('c', '(local.get $cRow)')} ${store}`;
      })
      .join('\n    ')})`;

const transposed = `
        ${rows.map((r) => `(local.set $r${r} (v128.load (i32.add (local.get $from) (i32.mul (local.get $bColumn) (i32.const ${r})))))`).join('\n        ')}
        ${[0, 2]
          .map(
            (r) => `(local.set $t${r} (i8x16.shuffle ${lanes(0, 4, 1, 5)} (local.get $r${r}) (local.get $r${r + 1})))
        (local.set $t${r + 1} (i8x16.shuffle ${lanes(2, 6, 3, 7)} (local.get $r${r}) (local.get $r${r + 1})))`,
          )
          .join('\n        ')}
        ${[
          [0, lanes(0, 1, 4, 5)],
          [0, lanes(2, 3, 6, 7)],
          [1, lanes(0, 1, 4, 5)],
          [1, lanes(2, 3, 6, 7)],
        ]
          .map(([t, order], k) => `(v128.store offset=${32 * k} (local.get $at) (i8x16.shuffle ${order} (local.get $t${t}) (local.get $t${t + 2})))`)
          .join('\n        ')}`;

const pack = `
  ;; panel[k, 8] = b[k, columns <= 8], zeros in missing columns
  (func $pack (param $b i32) (param $bRow i32) (param $bColumn i32) (param $k i32) (param $columns i32) (param $panel i32)
    (local $j i32) (local $from i32) (local $at i32) (local $i i32)
    ${rows.map((r) => `(local $r${r} v128) (local $t${r} v128)`).join(' ')}
    (if (i32.and (i32.eq (local.get $bColumn) (i32.const 4)) (i32.eq (local.get $columns) (i32.const 8))) (then
      ${loop(
        'row',
        '(local.get $k)',
        `
        (v128.store (local.get $panel) (v128.load (local.get $b)))
        (v128.store offset=16 (local.get $panel) (v128.load offset=16 (local.get $b)))
        ${advance('b', '(local.get $bRow)')} ${advance('panel', '(i32.const 32)')} ${advance('k', '(i32.const -1)')}`,
      )}
      (return)))
    (if (i32.lt_s (local.get $columns) (i32.const 8)) (then (memory.fill (local.get $panel) (i32.const 0) (i32.mul (local.get $k) (i32.const 32)))))
    ;; where the k of a column lie side by side: four columns at a time, 4 x 4 transposes
    (if (i32.eq (local.get $bRow) (i32.const 4)) (then ${loop(
      'quad',
      '(i32.ge_s (i32.sub (local.get $columns) (local.get $j)) (i32.const 4))',
      `
      (local.set $from (i32.add (local.get $b) (i32.mul (local.get $j) (local.get $bColumn))))
      (local.set $at (i32.add (local.get $panel) ${bytes('(local.get $j)')}))
      (local.set $i (local.get $k))
      ${loop(
        'square',
        '(i32.ge_s (local.get $i) (i32.const 4))',
        `${transposed}
        ${advance('from', '(i32.const 16)')} ${advance('at', '(i32.const 128)')} ${advance('i', '(i32.const -4)')}`,
      )}
      ${loop(
        'rest',
        '(local.get $i)',
        `
        ${rows.map((r) => `(f32.store offset=${4 * r} (local.get $at) (f32.load (i32.add (local.get $from) (i32.mul (local.get $bColumn) (i32.const ${r})))))`).join('\n        ')}
        ${advance('from', '(i32.const 4)')} ${advance('at', '(i32.const 32)')} ${advance('i', '(i32.const -1)')}`,
      )}
      ${advance('j', '(i32.const 4)')}`,
    )}))
    ${loop(
      'column',
      '(i32.lt_s (local.get $j) (local.get $columns))',
      `
      (local.set $from (i32.add (local.get $b) (i32.mul (local.get $j) (local.get $bColumn))))
      (local.set $at (i32.add (local.get $panel) ${bytes('(local.get $j)')}))
      (local.set $i (local.get $k))
      ${loop(
        'element',
        '(local.get $i)',
        `
        (f32.store (local.get $at) (f32.load (local.get $from)))
        ${advance('from', '(local.get $bRow)')} ${advance('at', '(i32.const 32)')} ${advance('i', '(i32.const -1)')}`,
      )}
      ${advance('j', '(i32.const 1)')}`,
    )})`;

const gather = `
  ;; tiles[rows / 4][k, 4] = a[rows, k] where rows lie side by side
  (func $gather (param $a i32) (param $aColumn i32) (param $rows i32) (param $k i32) (param $tiles i32)
    (local $i i32) (local $r i32) (local $to i32) (local $from i32) (local $kk i32)
    ${loop(
      'k',
      '(i32.lt_s (local.get $kk) (local.get $k))',
      `
      (local.set $i (i32.const 0))
      (local.set $to (i32.add (local.get $tiles) (i32.mul (local.get $kk) (i32.const 16))))
      ${loop(
        'tile',
        '(i32.lt_s (local.get $i) (local.get $rows))',
        `
        (local.set $from (i32.add (local.get $a) ${bytes('(local.get $i)')}))
        (if (i32.ge_s (i32.sub (local.get $rows) (local.get $i)) (i32.const 4))
          (then (v128.store (local.get $to) (v128.load (local.get $from))))
          (else
            (local.set $r (i32.const 0))
            ${loop(
              'row',
              '(i32.lt_s (local.get $r) (i32.sub (local.get $rows) (local.get $i)))',
              `
              (f32.store (i32.add (local.get $to) ${bytes('(local.get $r)')}) (f32.load (i32.add (local.get $from) ${bytes('(local.get $r)')})))
              ${advance('r', '(i32.const 1)')}`,
            )}))
        ${advance('to', '(i32.mul (local.get $k) (i32.const 16))')} ${advance('i', '(i32.const 4)')}`,
      )}
      ${advance('a', '(local.get $aColumn)')} ${advance('kk', '(i32.const 1)')}`,
    )})`;

const spill = `
  ;; a tile [4, 8] held in scratch to c[rows, columns] with strides, or back where $fetch
  (func $spill (param $from i32) (param $c i32) (param $cRow i32) (param $cColumn i32) (param $rows i32) (param $columns i32) (param $fetch i32)
    (local $j i32) (local $at i32) (local $source i32)
    ${loop(
      'row',
      '(local.get $rows)',
      `
      (local.set $j (local.get $columns)) (local.set $at (local.get $c)) (local.set $source (local.get $from))
      ${loop(
        'column',
        '(local.get $j)',
        `
        (if (local.get $fetch)
          (then (f32.store (local.get $source) (f32.load (local.get $at))))
          (else (f32.store (local.get $at) (f32.load (local.get $source)))))
        ${advance('at', '(local.get $cColumn)')} ${advance('source', '(i32.const 4)')} ${advance('j', '(i32.const -1)')}`,
      )}
      ${advance('c', '(local.get $cRow)')} ${advance('from', '(i32.const 32)')} ${advance('rows', '(i32.const -1)')}`,
    )})`;

const least = (a, b) => `(call $least ${a} ${b})`;
const left = (of, done) => `(i32.sub (local.get $${of}) (local.get $${done}))`;
const panelAt = `(i32.add (local.get $panels) (i32.mul (local.get $j) ${bytes('(local.get $kb)')}))`;
const tileCall = (to, row) =>
  `(call $tile (local.get $rowsAt) (local.get $tileRow) (local.get $tileColumn) (local.get $panel) (local.get $kb) ${to} ${row} (local.get $rows) (local.get $more))`;
const spillCall = (fetch) =>
  `(call $spill (local.get $work) (local.get $to) (local.get $cRow) (local.get $cColumn) (local.get $rows) (local.get $columns) (i32.const ${fetch}))`;

const multiply = `
  (func $least (param $a i32) (param $b i32) (result i32) (select (local.get $a) (local.get $b) (i32.lt_s (local.get $a) (local.get $b))))

  ;; Addresses, strides and distances between matrices in bytes. work: 128 bytes, 512 x 64 floats for rows of a, 512 x 512 for panels of b.
  (func (export "multiply")
    (param $a i32) (param $aRow i32) (param $aColumn i32) (param $aNext i32)
    (param $b i32) (param $bRow i32) (param $bColumn i32) (param $bNext i32)
    (param $c i32) (param $cRow i32) (param $cColumn i32) (param $cNext i32)
    (param $matrices i32) (param $m i32) (param $n i32) (param $k i32) (param $work i32)
    (local $gathered i32) (local $panels i32) (local $gathers i32) (local $k0 i32) (local $kb i32) (local $n0 i32) (local $nb i32) (local $m0 i32) (local $mb i32)
    (local $j i32) (local $i i32) (local $panel i32) (local $columns i32) (local $rows i32) (local $to i32) (local $more i32)
    (local $block i32) (local $rowsAt i32) (local $tileRow i32) (local $tileColumn i32)
    (local.set $gathered (i32.add (local.get $work) (i32.const 128)))
    (local.set $panels (i32.add (local.get $gathered) (i32.const ${512 * 64 * 4})))
    (local.set $gathers (i32.and (i32.eq (local.get $aRow) (i32.const 4)) (i32.ne (local.get $aColumn) (i32.const 4))))
    (local.set $tileRow (select (i32.const 4) (local.get $aRow) (local.get $gathers)))
    (local.set $tileColumn (select (i32.const 16) (local.get $aColumn) (local.get $gathers)))
    ${loop(
      'matrix',
      '(local.get $matrices)',
      `
      (local.set $n0 (i32.const 0))
      ${loop(
        'panels',
        '(i32.lt_s (local.get $n0) (local.get $n))',
        `
        (local.set $nb ${least(left('n', 'n0'), '(i32.const 512)')})
        (local.set $k0 (i32.const 0))
        ${loop(
          'inner',
          '(i32.lt_s (local.get $k0) (local.get $k))',
          `
          (local.set $kb ${least(left('k', 'k0'), '(i32.const 512)')})
          (local.set $more (i32.gt_s (local.get $k0) (i32.const 0)))
          (local.set $j (i32.const 0))
          ${loop(
            'packed',
            '(i32.lt_s (local.get $j) (local.get $nb))',
            `
            (call $pack (i32.add (local.get $b) (i32.add
                (i32.mul (local.get $k0) (local.get $bRow)) (i32.mul (i32.add (local.get $n0) (local.get $j)) (local.get $bColumn))))
              (local.get $bRow) (local.get $bColumn) (local.get $kb) ${least(left('nb', 'j'), '(i32.const 8)')} ${panelAt})
            ${advance('j', '(i32.const 8)')}`,
          )}
          ;; 64 rows of a stay in cache while all panels pass by
          (local.set $m0 (i32.const 0))
          ${loop(
            'rows',
            '(i32.lt_s (local.get $m0) (local.get $m))',
            `
            (local.set $mb ${least(left('m', 'm0'), '(i32.const 64)')})
            (local.set $block (i32.add (local.get $a) (i32.add (i32.mul (local.get $m0) (local.get $aRow)) (i32.mul (local.get $k0) (local.get $aColumn)))))
            (if (local.get $gathers) (then (call $gather (local.get $block) (local.get $aColumn) (local.get $mb) (local.get $kb) (local.get $gathered))))
            (local.set $j (i32.const 0))
            ${loop(
              'columns',
              '(i32.lt_s (local.get $j) (local.get $nb))',
              `
              (local.set $panel ${panelAt})
              (local.set $columns ${least(left('nb', 'j'), '(i32.const 8)')})
              (local.set $i (i32.const 0))
              ${loop(
                'tiles',
                '(i32.lt_s (local.get $i) (local.get $mb))',
                `
                (local.set $rows ${least(left('mb', 'i'), '(i32.const 4)')})
                (local.set $rowsAt (select
                  (i32.add (local.get $gathered) (i32.mul (local.get $i) ${bytes('(local.get $kb)')}))
                  (i32.add (local.get $block) (i32.mul (local.get $i) (local.get $aRow))) (local.get $gathers)))
                (local.set $to (i32.add (local.get $c) (i32.add
                  (i32.mul (i32.add (local.get $m0) (local.get $i)) (local.get $cRow)) (i32.mul (i32.add (local.get $n0) (local.get $j)) (local.get $cColumn)))))
                (if (i32.and (i32.eq (local.get $columns) (i32.const 8)) (i32.eq (local.get $cColumn) (i32.const 4)))
                  (then ${tileCall('(local.get $to)', '(local.get $cRow)')})
                  (else
                    (if (local.get $more) (then ${spillCall(1)}))
                    ${tileCall('(local.get $work)', '(i32.const 32)')}
                    ${spillCall(0)}))
                ${advance('i', '(i32.const 4)')}`,
              )}
              ${advance('j', '(i32.const 8)')}`,
            )}
            ${advance('m0', '(i32.const 64)')}`,
          )}
          ${advance('k0', '(i32.const 512)')}`,
        )}
        ${advance('n0', '(i32.const 512)')}`,
      )}
      ${advance('a', '(local.get $aNext)')} ${advance('b', '(local.get $bNext)')} ${advance('c', '(local.get $cNext)')}
      ${advance('matrices', '(i32.const -1)')}`,
    )})`;

/** The module's bytes. It works on the memory it is given: the backend's heap. */
export async function matmulWasm() {
  const text = `(module (import "backend" "memory" (memory 1))${tile}${pack}${gather}${spill}${multiply})`;
  const module = (await wabt()).parseWat('matmul.wat', text, { simd: true, bulk_memory: true });
  try {
    module.validate();
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}
