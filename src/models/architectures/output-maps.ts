/** Where the maps of a layer back into the residual stream start: a field of every architecture. */
import { z } from "zod";
import { weightStarts } from "../../nn/linear.ts";

export const outputMapsField = {
  outputMaps: z
    .enum(weightStarts)
    .default("normal")
    .describe("Where the maps back into the residual stream start: normal numbers of variance 1 / in, or zero."),
};
