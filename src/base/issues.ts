/** What zod finds wrong with a value, as one sentence. */
import type { z } from "zod";
import { nearest } from "./errors.ts";

/** Of each field its name, what was given, and what was expected. */
export function describeIssues(
  error: z.ZodError,
  value: unknown,
  nameOf: (field: string) => string = (field) => field,
): string {
  return error.issues
    .map((issue) => {
      const given = issue.path.reduce<unknown>(
        (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
        value,
      );
      const name = issue.path.length === 0 ? "value" : nameOf(issue.path.join("."));
      if (issue.code === "unrecognized_keys") {
        const keys = issue.keys.map((key) => nameOf([...issue.path, key].join(".")));
        return `unknown field${keys.length > 1 ? "s" : ""} ${keys.join(", ")}`;
      }
      const wanted = issue.message.replace(/^Invalid (option|input): /, "");
      if (given === undefined) return `${name} is missing (${wanted.replace(/, received undefined$/, "")})`;
      const choices = issue.code === "invalid_value" ? issue.values.map(String) : [];
      const guess = typeof given === "string" ? nearest(given, choices) : undefined;
      return `${name} ${JSON.stringify(given)}: ${wanted}${guess ? ` (did you mean ${guess}?)` : ""}`;
    })
    .join("; ");
}
