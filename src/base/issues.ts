/** What zod finds wrong with a value, as one sentence in plain words. */
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
      // One of several values of a field goes by the field's name.
      const path = typeof issue.path.at(-1) === "number" ? issue.path.slice(0, -1) : issue.path;
      const name = path.length === 0 ? "value" : nameOf(path.join("."));
      if (issue.code === "unrecognized_keys") {
        const keys = issue.keys.map((key) => nameOf([...issue.path, key].join(".")));
        return `unknown field${keys.length > 1 ? "s" : ""} ${keys.join(", ")}`;
      }
      if (given === undefined) return `${name} is missing (${wantedOf(issue)})`;
      const choices = issue.code === "invalid_value" ? issue.values.map(String) : [];
      const guess = typeof given === "string" ? nearest(given, choices) : undefined;
      return `${name} ${JSON.stringify(given)}: ${wantedOf(issue)}${guess ? ` (did you mean ${guess}?)` : ""}`;
    })
    .join("; ");
}

const KINDS: Readonly<Record<string, string>> = {
  number: "a number",
  int: "a whole number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

function wantedOf(issue: z.core.$ZodIssue): string {
  if (!/^(Invalid|Too) /.test(issue.message)) return issue.message; // the schema's own words
  switch (issue.code) {
    case "invalid_type":
      return `expected ${KINDS[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `expected one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      if (issue.origin !== "number") return "expected at least one";
      return `expected ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `expected ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    default:
      return issue.message.replace(/^Invalid input: /, "");
  }
}
