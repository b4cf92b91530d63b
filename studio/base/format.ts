/** Numbers, times and sizes as the page writes them. */

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Four figures: 63.05, 0.0001234, 12,345, 1.23e-9. */
export function figures(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e9 || size < 1e-4) return Number(value.toPrecision(3)).toExponential();
  if (size >= 1000) return GROUPED.format(value);
  return String(Number(value.toPrecision(4)));
}

export function whole(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : GROUPED.format(value);
}

/** A place on an axis whose marks are so far apart: 12,345 or, far apart, 12k, 3M. */
export function place(value: number, apart = 1): string {
  const [unit, name] = (
    [
      [1e9, "B"],
      [1e6, "M"],
      [1e3, "k"],
    ] as const
  ).find(([size]) => apart >= size) ?? [1, ""];
  return value === 0 ? "0" : `${GROUPED.format(value / unit)}${name}`;
}

/** 950, 12.3k, 4.56M. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  for (const [unit, name] of [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (size >= unit) return `${Number((value / unit).toPrecision(3))}${name}`;
  }
  return figures(value);
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const power = Math.min(3, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${Number((value / 1024 ** power).toPrecision(3))} ${["B", "KiB", "MiB", "GiB"][power]}`;
}

/** 42 s, 3 min 5 s, 2 h 10 min. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 60) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function percent(share: number): string {
  const value = share * 100;
  if (value === 0) return "0 %";
  return `${value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(2)} %`;
}

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** 5 minutes ago, yesterday. */
export function ago(time: number, now: number): string {
  const seconds = (time - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 60) return "just now";
  if (size < 3600) return RELATIVE.format(Math.round(seconds / 60), "minute");
  if (size < 86400) return RELATIVE.format(Math.round(seconds / 3600), "hour");
  return RELATIVE.format(Math.round(seconds / 86400), "day");
}
