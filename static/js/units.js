// Numbers as people read them, by the unit of a chart.
const KIB = 1024;
const digits = (value) => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
const rounded = (value) => value.toFixed(digits(value)).replace(/\.?0+$/, (zeros) => (zeros.includes(".") ? "" : zeros));

function plain(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${rounded(value / 1e9)} G`;
  if (size >= 1e6) return `${rounded(value / 1e6)} M`;
  return size > 0 && size < 0.01 ? String(Number(value.toPrecision(2))) : rounded(value);
}

function bytes(value) {
  const size = Math.abs(value);
  if (size >= KIB ** 3) return `${plain(value / KIB ** 3)} GiB`;
  if (size >= KIB ** 2 || size === 0) return `${plain(value / KIB ** 2)} MiB`;
  return size >= KIB ? `${plain(value / KIB)} KiB` : `${plain(value)} B`;
}

function seconds(value) {
  if (Math.abs(value) >= 1) return `${plain(value)} s`;
  return `${plain(value * 1000)} ms`;
}

const UNITS = {
  percent: (value) => `${plain(value)} %`,
  bytes,
  seconds,
  "per-second": (value) => `${plain(value)}/s`,
  count: plain,
  none: plain,
};

export const said = (unit, value) => (value === null || value === undefined ? "–" : UNITS[unit](value));
