/** The device that "auto" stands for, on machines that are made up and on this one. */
import { describe, expect, it } from "vitest";
import { LonghandError } from "../../base/errors.ts";
import type { Device } from "../../runtime/engine.ts";
import { chooseDevice, type DeviceProbe } from "./choose-device.ts";

/** Times by device, of the small and of the large products. */
function machine(times: Readonly<Partial<Record<Device, readonly [number, number]>>>, obstacle?: string) {
  const asked: string[] = [];
  const probe: DeviceProbe = {
    obstacle: () => obstacle,
    async productsMs(device, size) {
      asked.push(`${device} ${size}`);
      const found = times[device];
      if (found === undefined) throw new LonghandError("engine", "no adapter\n    at somewhere");
      return found[size > 500 ? 1 : 0];
    },
  };
  return { probe, asked };
}

describe("auto", () => {
  it("is the CPU without a look where there can be no card", async () => {
    const { probe, asked } = machine({ cpu: [1, 1], webgpu: [1, 1] }, "no graphics card");
    expect(await chooseDevice(2, probe)).toEqual({ device: "cpu", reason: "no graphics card" });
    expect(asked).toEqual([]);
  });

  it("is the CPU where WebGPU does not work", async () => {
    const { probe, asked } = machine({ cpu: [1, 1] });
    expect(await chooseDevice(2, probe)).toEqual({ device: "cpu", reason: "WebGPU does not work here: no adapter" });
    expect(asked).toEqual(["webgpu 256"]);
  });

  it("is the CPU where WebGPU is software, without large products", async () => {
    const { probe, asked } = machine({ cpu: [2, 100], webgpu: [90, 5000] });
    const { device, reason } = await chooseDevice(2, probe);
    expect([device, reason]).toEqual([
      "cpu",
      "WebGPU is slow here: matrix products take 90.0 ms on WebGPU, 2.0 ms on the CPU",
    ]);
    expect(asked).toEqual(["webgpu 256", "cpu 256"]);
  });

  it("is WebGPU where a card is clearly faster, for all its latency", async () => {
    const { device, reason } = await chooseDevice(2, machine({ cpu: [1, 100], webgpu: [4, 5] }).probe);
    expect([device, reason]).toEqual(["webgpu", "matrix products take 5.0 ms on WebGPU, 100.0 ms on the CPU"]);
  });

  it("is the CPU where a card is hardly faster", async () => {
    expect((await chooseDevice(2, machine({ cpu: [1, 9], webgpu: [2, 5] }).probe)).device).toBe("cpu");
  });

  it("is found on this machine", async () => {
    const { device, reason } = await chooseDevice(2);
    expect(["cpu", "webgpu"]).toContain(device);
    expect(reason).not.toBe("");
  });
});
