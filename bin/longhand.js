#!/usr/bin/env node
import { withHugePages } from "../dist/command/reexec.js";

await withHugePages(); // before all that takes time to load
const { main } = await import("../dist/command/main.js");
await main(process.argv);
