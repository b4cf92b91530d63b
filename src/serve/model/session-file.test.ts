/** Saved sessions are files that anyone may have changed: each change is found, or changes nothing. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { smallConfig, V, wildParameters } from "../../../test/support/decoding.ts";
import { LonghandError } from "../../base/errors.ts";
import { Session } from "../../generate/session.ts";
import { DecodingState } from "../../generate/state.ts";
import { decodingArchitecture } from "../../models/decoding.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { decodeSession, encodeSession, type SessionContent } from "./session-file.ts";

const owner = { model: "a".repeat(64), tokenizer: "b".repeat(64) };

/** A session after 21 tokens, more than two chunks. */
async function contentOf(architectureName: "flash" | "transformer++") {
  const config = smallConfig(architectureName);
  const architecture = decodingArchitecture(config);
  const engine = ortNodeEngine();
  const session = new Session({ engine, architecture, parameters: wildParameters(config) });
  const reader = session.reader(1);
  for (let at = 0; at < 21; at++) await reader.read({ tokens: [Int32Array.of(at % V)], readout: "last" });
  const state = new DecodingState(architecture, 1);
  state.copyFrom(reader.state, 0, 0);
  await engine.close();
  const content: SessionContent = { state, pending: Int32Array.of(3), recent: Int32Array.of(1, 2, 3) };
  return { architecture, content };
}

describe.each(["flash", "transformer++"] as const)("a saved session of %s", (name) => {
  it("comes back as it was", async () => {
    const { architecture, content } = await contentOf(name);
    const bytes = Buffer.concat(encodeSession(content, owner));
    const back = decodeSession(bytes, "file", { architecture, owner });
    expect(back.state.position(0)).toBe(21);
    expect(back.state.entries()).toEqual(content.state.entries());
    expect([back.pending, back.recent]).toEqual([content.pending, content.recent]);
    expect(Buffer.concat(encodeSession(back, owner))).toEqual(bytes);
  });

  it("is refused with another owner", async () => {
    const { architecture, content } = await contentOf(name);
    const bytes = Buffer.concat(encodeSession(content, owner));
    for (const other of [
      { ...owner, model: "c" },
      { ...owner, tokenizer: "c" },
    ])
      expect(() => decodeSession(bytes, "file", { architecture, owner: other })).toThrow(
        /^file: it belongs to another model/,
      );
  });

  it("is refused in a sentence after any of 5,000 changes, or was not changed by it", {
    timeout: 120_000,
  }, async () => {
    const { architecture, content } = await contentOf(name);
    const bytes = Buffer.concat(encodeSession(content, owner));
    const header = 8 + Number(bytes.readBigUInt64LE());
    let refused = 0;
    const check = (changed: Buffer) => {
      try {
        const back = decodeSession(changed, "file", { architecture, owner });
        expect(back.state.entries()).toEqual(content.state.entries());
        expect([back.state.position(0), back.pending, back.recent]).toEqual([21, content.pending, content.recent]);
      } catch (error) {
        if (!(error instanceof LonghandError && error.code === "checkpoint")) throw error;
        expect(error.message).toMatch(/^file: |^state\./);
        refused++;
      }
    };
    const place = fc.oneof(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: header - 1 }));
    const change = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), place, value: fc.nat({ max: 255 }) }),
      fc.record({ kind: fc.constant("cut" as const), place, value: fc.constant(0) }),
      fc.record({ kind: fc.constant("insert" as const), place, value: fc.nat({ max: 255 }) }),
      fc.record({ kind: fc.constant("remove" as const), place, value: fc.constant(1) }),
      fc.record({
        kind: fc.constant("digit" as const),
        place: fc.nat({ max: header - 1 }),
        value: fc.integer({ min: 48, max: 57 }),
      }),
    );
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        let changed = Buffer.from(bytes);
        for (const { kind, place, value } of changes) {
          const at = Math.min(place, Math.max(0, changed.length - 1));
          if (kind === "cut") changed = changed.subarray(0, at);
          else if (kind === "remove") changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1)]);
          else if (kind === "insert")
            changed = Buffer.concat([changed.subarray(0, at), Buffer.of(value), changed.subarray(at)]);
          else if (changed.length > 0) changed[at] = value;
        }
        check(changed);
      }),
      { numRuns: 5000, seed: 1 },
    );
    expect(refused).toBeGreaterThan(4500);
  });

  it("is refused when it claims another position, and allocates nothing for that", async () => {
    const { architecture, content } = await contentOf(name);
    for (const claim of [999_999_999_999_999, 1e9, 10_000, -1, 1.5, Number.NaN]) {
      const state = { entries: () => content.state.entries(), position: () => claim } as unknown as DecodingState;
      const forged = Buffer.concat(encodeSession({ ...content, state }, owner));
      const grows = name === "transformer++"; // the state of FLASH has one shape, whatever its position is
      if (grows || !Number.isInteger(claim) || claim < 0)
        expect(() => decodeSession(forged, "file", { architecture, owner })).toThrow(LonghandError);
      else expect(decodeSession(forged, "file", { architecture, owner }).state.bytes).toBe(content.state.bytes);
    }
  });

  it("is refused with tokens that the model does not have, or too many of them", async () => {
    const { architecture, content } = await contentOf(name);
    for (const own of [
      { pending: Int32Array.of(V) },
      { recent: Int32Array.of(-1) },
      { recent: new Int32Array(4097) },
    ]) {
      const forged = Buffer.concat(encodeSession({ ...content, ...own }, owner));
      expect(() => decodeSession(forged, "file", { architecture, owner })).toThrow(/^file: (pending|recent): expected/);
    }
  });

  it("is read from where it lies, aligned or not", async () => {
    const { architecture, content } = await contentOf(name);
    const bytes = Buffer.concat([Buffer.of(0), ...encodeSession(content, owner)]).subarray(1);
    const back = decodeSession(bytes, "file", { architecture, owner });
    expect(back.state.entries()).toEqual(content.state.entries());
  });
});
