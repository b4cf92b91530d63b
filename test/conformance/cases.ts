/** The one table of operator cases. */
import type { Case } from "./case.ts";
import { elementwiseCases } from "./cases/elementwise.ts";
import { indexingCases } from "./cases/indexing.ts";
import { layoutCases } from "./cases/layout.ts";
import { reductionCases } from "./cases/reduce.ts";

export const cases: readonly Case[] = [...elementwiseCases, ...reductionCases, ...layoutCases, ...indexingCases];
