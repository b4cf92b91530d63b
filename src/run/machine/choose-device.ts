/**
 * What the device "auto" stands for on this machine: WebGPU where a graphics card multiplies matrices clearly faster than
 * the processor, else the CPU.
 */
import { existsSync } from "node:fs";
import { messageOf } from "../../base/errors.ts";
import type { Device } from "../../runtime/engine.ts";
import { ortProviders } from "../../runtime/ort-node.ts";
import { productsMs } from "./products.ts";

export interface DeviceChoice {
  readonly device: Device;
  /** Why, as half a sentence. */
  readonly reason: string;
}

/** What is asked of the machine. */
export interface DeviceProbe {
  /** Why there can be no graphics card to use; undefined when there may be one. Takes no time. */
  obstacle(): string | undefined;
  /** Milliseconds that a few products of two matrices [size, size] take. Throws where the device does not work. */
  productsMs(device: Device, size: number): Promise<number>;
}

/** Products so small that a slow device is found out in moments, and such as fill a card. */
const SMALL = 256;
const LARGE = 1024;
/** A software adapter is slower than the processor at any size; a card may be at small ones, by its latency. */
const SLOWER = 8;
/** How many times as fast a card must be: a training step has many operations that gain less than a product. */
const FASTER = 2;

/** Chooses between the CPU, with this many threads, and WebGPU. */
export async function chooseDevice(threads: number, probe: DeviceProbe = machineProbe(threads)): Promise<DeviceChoice> {
  const obstacle = probe.obstacle();
  if (obstacle !== undefined) return { device: "cpu", reason: obstacle };
  try {
    const first = await timesOf(probe, SMALL);
    if (first.webgpu > SLOWER * first.cpu) return { device: "cpu", reason: `WebGPU is slow here: ${compared(first)}` };
    const times = await timesOf(probe, LARGE);
    const device = times.webgpu * FASTER <= times.cpu ? "webgpu" : "cpu";
    return { device, reason: compared(times) };
  } catch (error) {
    // The runtime puts a condition of its source before what it means.
    const problem = messageOf(error)
      .split("\n")[0]
      .replace(/^.* was false\. /, "");
    return { device: "cpu", reason: `WebGPU does not work here: ${problem}` };
  }
}

interface Times {
  readonly cpu: number;
  readonly webgpu: number;
}

async function timesOf(probe: DeviceProbe, size: number): Promise<Times> {
  const webgpu = await probe.productsMs("webgpu", size);
  return { webgpu, cpu: await probe.productsMs("cpu", size) };
}

const compared = ({ cpu, webgpu }: Times) =>
  `matrix products take ${webgpu.toFixed(1)} ms on WebGPU, ${cpu.toFixed(1)} ms on the CPU`;

function machineProbe(threads: number): DeviceProbe {
  return {
    obstacle: () => obstacleTo("webgpu"),
    productsMs: (device, size) => productsMs({ device, threads, size }),
  };
}

/** Where Linux shows a graphics card, at least one of them. */
const CARDS = {
  webgpu: { files: ["/dev/dri", "/dev/nvidia0", "/dev/dxg"], none: "no graphics card" },
  cuda: { files: ["/dev/nvidia0", "/dev/dxg"], none: "no NVIDIA graphics card" },
} as const;

/** Why there can be no card to use; undefined when there may be one. Takes no time. */
export function obstacleTo(device: keyof typeof CARDS): string | undefined {
  if (!ortProviders().includes(device)) return `this build of ONNX Runtime has no ${device}`;
  // Asking for an adapter where there is none takes time, and its library complains on the terminal.
  const { files, none } = CARDS[device];
  return process.platform === "linux" && !files.some((file) => existsSync(file)) ? none : undefined;
}
