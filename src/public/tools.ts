/**
 * `longhand/tools`: what a program on top of Longhand shares with it: files that appear whole, one process a folder,
 * the memory and huge pages of the machine, messages.
 */
export { messageOf, nearest, quoted } from "../base/errors.ts";
export { describeIssues } from "../base/issues.ts";
export { writeDirectoryAtomic, writeFileAtomic } from "../checkpoint/atomic.node.ts";
export { acquireRunLock } from "../checkpoint/run-lock.node.ts";
export { parseSettings } from "../config/fields.ts";
export { availableMemory, machineMemory } from "../run/machine/available-memory.ts";
export { requireDevice } from "../run/machine/device.ts";
export { hugePages } from "../runtime/huge-pages.node.ts";
export { ortVersion } from "../runtime/ort-node.ts";
