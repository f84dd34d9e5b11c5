/* How numbers are written. What is not known (null, absent) is a dash, never a zero. */

export const DASH = "\u2013";

export function isKnown(value) {
  return value !== null && value !== undefined && value !== "" && !Number.isNaN(value);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/* 8589934592 -> "8.0 GiB": three digits that matter. */
export function bytes(value) {
  if (!isKnown(value)) return DASH;
  let unit = 0;
  let rest = value;
  while (rest >= 1000 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit++;
  }
  const digits = unit === 0 || rest >= 99.95 ? 0 : 1;
  return `${rest.toFixed(digits)} ${UNITS[unit]}`;
}

/* The shortest text that means exactly so many bytes and that the API takes back: "8GiB". */
export function bytesExact(value) {
  if (!isKnown(value)) return "";
  for (let unit = UNITS.length - 1; unit > 0; unit--) {
    const size = 1024 ** unit;
    if (value >= size && value % size === 0) return `${value / size}${UNITS[unit]}`;
  }
  return String(value);
}

/* Two rates in the unit of the larger: "1.1 / 0.3 GiB/s". */
export function bytesPerSecondPair(first, second) {
  const most = Math.max(first ?? 0, second ?? 0);
  const step = most < 1000 ? 0 : most < 1000 * 1024 ? 1 : most < 1000 * 1024 ** 2 ? 2 : 3;
  const write = (value) => (isKnown(value) ? (value / 1024 ** step).toFixed(step ? 1 : 0) : DASH);
  if (!isKnown(first) && !isKnown(second)) return DASH;
  return `${write(first)} / ${write(second)} ${UNITS[step]}/s`;
}

export function percent(value, digits = 1) {
  return isKnown(value) ? `${value.toFixed(digits)} %` : DASH;
}

/* As it was set: 30 -> "30 %", 12.5 -> "12.5 %". */
export function percentSet(value) {
  return isKnown(value) ? `${Number(value.toFixed(3))} %` : DASH;
}

export function count(value) {
  return isKnown(value) ? String(value) : DASH;
}

export function unit(value, name, digits = 0) {
  return isKnown(value) ? `${Number(value).toFixed(digits)} ${name}` : DASH;
}

export function microseconds(value) {
  if (!isKnown(value)) return DASH;
  return value >= 1000 ? `${Number((value / 1000).toFixed(2))} ms` : `${value} \u00b5s`;
}

export function clockTime(unixMs) {
  if (!isKnown(unixMs)) return DASH;
  const date = new Date(unixMs);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

export function plural(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
