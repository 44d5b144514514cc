// Figures over seeds.

/** Mean and sample standard deviation of what is known; sd is null below two, the whole is null where nothing is known. */
export function spreadOf(values) {
  const known = values.filter((value) => typeof value === 'number' && Number.isFinite(value));
  if (known.length === 0) return null;
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n: known.length, mean, sd: known.length < 2 ? null : Math.sqrt(squares / (known.length - 1)) };
}

/** Standard error of a difference of means; null where one of them has no spread. */
export const differenceError = (a, b) => (a?.sd == null || b?.sd == null ? null : Math.sqrt(a.sd ** 2 / a.n + b.sd ** 2 / b.n));

const ranked = (values) =>
  values.map((value) => 1 + values.filter((other) => other < value).length + (values.filter((other) => other === value).length - 1) / 2);

/** Spearman's rank correlation, ties by their mean rank; null below three or where one side does not vary. */
export function spearman(xs, ys) {
  if (xs.length < 3) return null;
  const [a, b] = [ranked(xs), ranked(ys)];
  const mean = (xs.length + 1) / 2;
  const covariance = a.reduce((sum, value, i) => sum + (value - mean) * (b[i] - mean), 0);
  const [left, right] = [a, b].map((ranks) => ranks.reduce((sum, value) => sum + (value - mean) ** 2, 0));
  return left === 0 || right === 0 ? null : covariance / Math.sqrt(left * right);
}
