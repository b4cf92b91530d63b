/**
 * The sessions of one model: texts that go on from call to call without being sent again. Their states are in memory as far
 * as there is room, and where a folder is given also on the disk, from where they come back. Bounded in number, bytes and age;
 * the one that was unused for longest goes first. Its id is all that a session is found by, so it is long and random.
 */
import { randomBytes } from "node:crypto";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { RequestError } from "../../service/failure.ts";
import type { SessionFacts } from "../protocol.ts";
import type { SessionContent } from "./session-file.ts";
import type { SessionFolder } from "./session-folder.ts";

interface Kept {
  readonly id: string;
  content: SessionContent | undefined;
  bytes: number;
  position: number;
  /** Of its file; 0 without one that is up to date. */
  diskBytes: number;
  /** Milliseconds since 1970. */
  used: number;
  busy: boolean;
}

export interface SessionLimits {
  readonly count: number;
  readonly bytes: number;
  readonly ageMs: number;
}

const newId = () => `sess_${randomBytes(24).toString("base64url")}`;

export class Sessions {
  readonly #limits: SessionLimits;
  readonly #folder: SessionFolder | undefined;
  readonly #warn: (message: string) => void;
  /** The one that was unused for longest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(limits: SessionLimits, folder: SessionFolder | undefined, warn: (message: string) => void) {
    this.#limits = limits;
    this.#folder = folder;
    this.#warn = warn;
  }

  /** Finds the sessions in the folder. They are read when they are asked for. */
  async open(): Promise<void> {
    for (const { id, bytes, used } of (await this.#folder?.list()) ?? []) {
      this.#kept.set(id, { id, content: undefined, bytes: 0, position: 0, diskBytes: bytes, used, busy: false });
    }
    await this.#makeRoom();
  }

  get facts() {
    const all = [...this.#kept.values()];
    const sum = (bytes: (kept: Kept) => number) => all.reduce((total, kept) => total + bytes(kept), 0);
    return { count: all.length, bytes: sum(({ bytes }) => bytes), diskBytes: sum(({ diskBytes }) => diskBytes) };
  }

  /** Begins a session, which exists once it is kept. */
  create(): string {
    const { count } = this.#limits;
    if ([...this.#kept.values()].filter(({ busy }) => busy).length >= count)
      throw new RequestError(429, `session: expected at most ${count} at a time, and all are in use`, {
        param: "session",
      });
    return newId();
  }

  /** The content of a session, for the caller alone until `keep` or `leave`. */
  async take(id: string): Promise<SessionContent> {
    await this.#dropOld();
    const kept = this.#kept.get(id);
    if (kept === undefined) throw unknownSession();
    if (kept.busy)
      throw new RequestError(409, "session: another request is writing in it; wait until that has ended", {
        code: "session_busy",
        param: "session",
      });
    kept.busy = true;
    try {
      kept.content ??= await this.#load(kept);
      this.#use(kept);
      return kept.content;
    } catch (error) {
      kept.busy = false;
      throw error;
    }
  }

  /** Gives a session back as it was taken. */
  leave(id: string): void {
    const kept = this.#kept.get(id);
    if (kept) kept.busy = false;
  }

  /** Keeps what a session goes on with. Resolves when it is on the disk too, or cannot be, which is a warning. */
  async keep(id: string, content: SessionContent): Promise<void> {
    const bytes = content.state.bytes + content.pending.byteLength + content.recent.byteLength;
    const before = this.#kept.get(id);
    const position = content.state.position(0);
    const kept: Kept = {
      id,
      content,
      bytes,
      position,
      diskBytes: before?.diskBytes ?? 0,
      used: Date.now(),
      busy: true,
    };
    this.#use(kept);
    try {
      if (this.#folder) kept.diskBytes = await this.#folder.save(id, content);
    } catch (error) {
      this.#warn(`a session is kept in memory only: ${messageOf(error)}`);
      // What is on the disk is the session as it was before: going on from there would be another text.
      if (kept.diskBytes > 0) await this.#folder?.remove(id).catch(() => undefined);
      kept.diskBytes = 0;
    } finally {
      kept.busy = false;
    }
    await this.#makeRoom();
  }

  look(id: string): SessionFacts {
    const kept = this.#kept.get(id);
    if (kept === undefined) throw unknownSession();
    const { position, used, diskBytes } = kept;
    return { id, position, bytes: kept.bytes || diskBytes, used: Math.floor(used / 1000) };
  }

  async forget(id: string): Promise<SessionFacts> {
    const facts = this.look(id);
    const kept = this.#kept.get(id);
    if (kept?.busy)
      throw new RequestError(409, "session: a request is writing in it; wait until that has ended", {
        code: "session_busy",
      });
    if (kept) await this.#drop(kept);
    return facts;
  }

  async #load(kept: Kept): Promise<SessionContent> {
    try {
      if (this.#folder === undefined) throw unknownSession();
      const content = await this.#folder.load(kept.id, this.#limits.bytes);
      kept.bytes = content.state.bytes;
      kept.position = content.state.position(0);
      return content;
    } catch (error) {
      if (!(error instanceof LonghandError)) throw error;
      this.#kept.delete(kept.id); // its file stays, for whoever wants to see what is the matter
      this.#warn(error.message);
      throw new RequestError(410, "session: its file cannot be used; begin a new one", {
        code: "session_damaged",
        param: "session",
      });
    }
  }

  #use(kept: Kept): void {
    kept.used = Date.now();
    this.#kept.delete(kept.id);
    this.#kept.set(kept.id, kept);
  }

  async #makeRoom(): Promise<void> {
    await this.#dropOld();
    const { count, bytes } = this.#limits;
    const idle = [...this.#kept.values()].filter(({ busy }) => !busy);
    for (const kept of idle) {
      const now = this.facts;
      if (now.count > count || now.diskBytes > bytes) await this.#drop(kept);
      else if (now.bytes > bytes && kept.content !== undefined) {
        if (kept.diskBytes > 0) [kept.content, kept.bytes] = [undefined, 0];
        else await this.#drop(kept);
      }
    }
  }

  async #dropOld(): Promise<void> {
    const oldest = Date.now() - this.#limits.ageMs;
    for (const kept of this.#kept.values()) if (kept.used < oldest && !kept.busy) await this.#drop(kept);
  }

  async #drop(kept: Kept): Promise<void> {
    this.#kept.delete(kept.id);
    if (kept.diskBytes > 0) await this.#folder?.remove(kept.id).catch((error: unknown) => this.#warn(messageOf(error)));
  }
}

function unknownSession(): RequestError {
  return new RequestError(404, "session: there is none of this id; it may have been unused for too long", {
    code: "session_not_found",
    param: "session",
  });
}
