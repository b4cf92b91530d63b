/** `longhand/reproduce`: the paper's comparison on the user's text and machine. Re-exports only. */
export { groupsOf, PLANNED_SHARE, type Plan } from "./plan.ts";
export {
  type ReproduceEvent,
  type ReproduceOptions,
  type ReproduceOutcome,
  rebuildReport,
  reproduce,
} from "./reproduce.ts";
export { type ReproduceSettingsInput, reproduceSettingsSchema } from "./settings.ts";
