/** What several processes that train together are told beside the settings of the training; it is not saved. */
import { z } from "zod";
import { whole } from "./fields.ts";

export const processesSettingsSchema = z.strictObject({
  shard: z
    .enum(["optimizer"])
    .optional()
    .describe(
      "Under mpirun or srun: optimizer divides the optimiser's moments over the processes, which then send each other parameters.",
    ),
  compareEvery: whole(1)
    .default(100)
    .describe("Under mpirun or srun: steps between comparisons of the processes' parameters."),
  waitLimit: z
    .number()
    .positive()
    .default(600)
    .describe("Under mpirun or srun: seconds that processes wait for each other before the job ends.")
    .meta({ value: "seconds" }),
});

export const processesGroups = [{ name: "Several processes", fields: ["shard", "compareEvery", "waitLimit"] }] as const;

export type ProcessesSettings = z.infer<typeof processesSettingsSchema>;
