#!/usr/bin/env node
import { withHugePages } from "../dist/src/cli/reexec.js";

await withHugePages(); // before all that takes time to load
const { main } = await import("../dist/src/cli/main.js");
await main(process.argv);
