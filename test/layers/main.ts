/** `npm run layers` holds the code to the rules of layers; `npm run layout` draws the rooms and their imports. */
import { writeFileSync } from "node:fs";
import { findProblems } from "./check.ts";
import { repositoryImports } from "./imports.ts";
import { drawRooms, PICTURE } from "./picture.ts";
import { rules } from "./rules.ts";

const files = repositoryImports();
if (process.argv.includes("--draw")) {
  writeFileSync(PICTURE, drawRooms(files, rules));
} else {
  const problems = findProblems(files, rules);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`The imports of ${files.size} files keep to test/layers/rules.ts.`);
}
