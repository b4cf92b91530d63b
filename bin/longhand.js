#!/usr/bin/env node
import { withHugePages } from "../dist/command/reexec.js";

await withHugePages(); // before all that takes time to load
// A comparison loads modules of its user's, which import the package: it must be the very package that the command runs.
const own = process.argv[2] === "reproduce";
const { main } = await (own ? import("../dist/src/cli/main.js") : import("../dist/command/main.js"));
await main(process.argv);
