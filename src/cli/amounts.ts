/** Amounts as people read them. */

/** 1234567 -> "1.2 MB" */
export function byteCount(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

/** 1234567 -> "1,234,567" */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
