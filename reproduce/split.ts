/** The last evaluation of a model takes so many times the tokens of a point of its curve. */
export const FINAL_EVAL_FACTOR = 4;
