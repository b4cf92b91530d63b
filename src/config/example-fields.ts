/** The fields of a training that say what an example is, and how many make a step; some go with the trained model. */
import { z } from "zod";
import { recomputeNames } from "../graph/recompute.ts";
import { cameLater, whole } from "./fields.ts";

/** causal: each token predicts the next; masked: blanks are filled from both sides. */
export const objectiveNames = ["causal", "masked"] as const;

/** joined: a training window is one text; separate: attention and positions begin anew at each document in it. */
export const documentsNames = ["joined", "separate"] as const;

export const exampleFields = {
  objective: cameLater(
    z
      .enum(objectiveNames)
      .default("causal")
      .describe("What is learnt: causal, to write on from a text; masked, to fill in blanks from both sides."),
  ),
  context: whole(1).default(1024).describe("Tokens a training example."),
  documents: cameLater(
    z
      .enum(documentsNames)
      .default("joined")
      .describe(
        "Documents in an example: joined, seen as one text; separate, none sees another, positions begin anew.",
      ),
  ),
  carry: cameLater(
    z
      .boolean()
      .default(false)
      .describe("Each example goes on in the text where an earlier one ended, from the state that it left."),
  ),
  carryEvery: cameLater(
    whole(1)
      .default(8)
      .describe(
        "With `carry`: so many steps lie between an example and the one that goes on from it; with more, successive steps differ more, and stretches of text are shorter.",
      ),
  ),
  batch: whole(1).default(4).describe("Examples computed at a time."),
  accumulate: whole(1).default(1).describe("Batches whose mean gradient makes one step."),
  recompute: cameLater(
    z
      .enum(recomputeNames)
      .default("none")
      .describe(
        "Activations to compute again instead of keeping them: layers needs far less memory and a third more time.",
      ),
  ),
  steps: whole(1).default(500).describe("Optimiser steps."),
};
