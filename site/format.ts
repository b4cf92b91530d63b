/** Numbers as they are read. */

const whole = new Intl.NumberFormat("en");

export const count = (n: number) => whole.format(Math.round(n));

export function bytes(n: number): string {
  return n < 1e6 ? `${Math.max(1, Math.round(n / 1e3))} kB` : `${(n / 1e6).toFixed(1)} MB`;
}

/** 45 s, 3 min, 1 h 20 min */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function figure(n: number): string {
  return n >= 1000 ? count(n) : n.toPrecision(3);
}
