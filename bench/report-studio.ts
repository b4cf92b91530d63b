/** The report of the studio's page, for people. */
import { line, show } from "./report-lines.ts";
import type { StudioReport } from "./studio.ts";

export function studioText({ runs, points, firstPaint, list, framesPerSecond, frame, reason }: StudioReport): string {
  if (firstPaint === null || list === null || framesPerSecond === null || frame === null)
    return `studio: not measured: ${reason}`;
  return [
    `studio: the page in Chromium at 1440 by 900, ${runs} runs, panning one of ${points} points; medians (quartiles)`,
    line("first paint", `${show(firstPaint, 0)} ms`),
    line("all runs listed", `${show(list, 0)} ms`),
    line("while panning", `${show(framesPerSecond, 0)} frames a second`),
    line("page's thread", `${show(frame, 1)} ms a frame`),
  ].join("\n");
}
