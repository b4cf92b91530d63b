/**
 * TensorBoard event files: TFRecord frames (length, masked CRC-32C, payload, masked CRC-32C) of `tensorflow.Event`
 * messages. The few messages needed are described here as tensorflow/core/util/event.proto and summary.proto have them
 * and encoded by @bufbuild/protobuf.
 */
import { hostname } from "node:os";
import { join } from "node:path";
import { create, createFileRegistry, type Message, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import {
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { LonghandError } from "../../base/errors.ts";
import { type AppendFile, openAppendFile } from "../../checkpoint/append.node.ts";

export interface EventFile {
  readonly path: string;
  /** Adds values, rounded to 32-bit floats, under their tags at a step. Throws `io`. */
  scalars(step: number, values: Readonly<Record<string, number>>): void;
  /** Flushes what was added to the disk. Throws `io`. */
  sync(): void;
  close(): void;
}

export interface EventFileOptions {
  /** The run continues after this step: TensorBoard discards later steps of earlier files. */
  readonly resumeStep?: number;
  /** Seconds since 1970; default: now. */
  readonly now?: () => number;
}

type Value = Message<"tensorflow.Summary.Value"> & {
  tag: string;
  value: { case: "simpleValue"; value: number } | { case: undefined; value?: undefined };
};
type Summary = Message<"tensorflow.Summary"> & { value: Value[] };
type SessionLog = Message<"tensorflow.SessionLog"> & { status: number };
type Event = Message<"tensorflow.Event"> & {
  wallTime: number;
  step: bigint;
  what:
    | { case: "fileVersion"; value: string }
    | { case: "summary"; value: Summary }
    | { case: "sessionLog"; value: SessionLog }
    | { case: undefined; value?: undefined };
};

const FILE_VERSION = "brain.Event:2";
/** SessionLog.SessionStatus.START: earlier events of this step and later ones are discarded. */
const SESSION_START = 1;

/**
 * Creates `events.out.tfevents.SECONDS.HOST.PID` in a folder and writes its opening records. Throws `io`.
 */
export function openEventFile(dir: string, options: EventFileOptions = {}): EventFile {
  const { resumeStep, now = () => Date.now() / 1000 } = options;
  const schemas = eventSchemas();
  const file = createFile(join(dir, `events.out.tfevents.${Math.floor(now())}.${hostname()}.${process.pid}`));
  const write = (step: number, what: Event["what"]): void => {
    const event = create(schemas.event, { wallTime: now(), step: BigInt(step), what });
    file.append(frameRecord(toBinary(schemas.event, event)));
  };
  write(0, { case: "fileVersion", value: FILE_VERSION });
  if (resumeStep !== undefined) {
    write(resumeStep + 1, { case: "sessionLog", value: create(schemas.sessionLog, { status: SESSION_START }) });
  }
  return {
    path: file.path,
    scalars: (step, values) => {
      const value = Object.entries(values).map(([tag, simple]) =>
        create(schemas.value, { tag, value: { case: "simpleValue", value: Math.fround(simple) } }),
      );
      write(step, { case: "summary", value: create(schemas.summary, { value }) });
    },
    sync: file.sync,
    close: file.close,
  };
}

/** A new file of this name; with a number appended when this process made one within the same second. */
function createFile(path: string): AppendFile {
  for (let attempt = 0; ; attempt++) {
    try {
      return openAppendFile(attempt === 0 ? path : `${path}.${attempt}`, { exclusive: true });
    } catch (error) {
      const cause = error instanceof LonghandError ? error.cause : undefined;
      if ((cause as NodeJS.ErrnoException | undefined)?.code !== "EEXIST" || attempt === 1000) throw error;
    }
  }
}

/** One TFRecord: the payload's length (64 bits) and its checksum, the payload and its checksum, all little-endian. */
export function frameRecord(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(12 + payload.length + 4);
  const view = new DataView(frame.buffer);
  view.setBigUint64(0, BigInt(payload.length), true);
  view.setUint32(8, maskCrc(crc32c(frame.subarray(0, 8))), true);
  frame.set(payload, 12);
  view.setUint32(12 + payload.length, maskCrc(crc32c(payload)), true);
  return frame;
}

/** CRC-32C (Castagnoli 1993; RFC 3720 appendix B.4), bit by bit: records are some hundred bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** TFRecord stores checksums rotated and offset ("masked"), since the CRC of data that contains its own CRC is weak. */
function maskCrc(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function eventSchemas() {
  const one = (name: string, number: number, type: Type, oneofIndex?: number, typeName = "") => ({
    name,
    number,
    type,
    label: Label.OPTIONAL,
    ...(oneofIndex === undefined ? {} : { oneofIndex }),
    ...(typeName === "" ? {} : { typeName }),
  });
  const file = create(FileDescriptorProtoSchema, {
    name: "longhand/event.proto",
    package: "tensorflow",
    syntax: "proto3",
    messageType: [
      {
        name: "Event",
        oneofDecl: [{ name: "what" }],
        field: [
          one("wall_time", 1, Type.DOUBLE),
          one("step", 2, Type.INT64),
          one("file_version", 3, Type.STRING, 0),
          one("summary", 5, Type.MESSAGE, 0, ".tensorflow.Summary"),
          one("session_log", 7, Type.MESSAGE, 0, ".tensorflow.SessionLog"),
        ],
      },
      // The status is an enumeration in event.proto; its values travel as an int32 does.
      { name: "SessionLog", field: [one("status", 1, Type.INT32)] },
      {
        name: "Summary",
        field: [
          {
            name: "value",
            number: 1,
            type: Type.MESSAGE,
            label: Label.REPEATED,
            typeName: ".tensorflow.Summary.Value",
          },
        ],
        nestedType: [
          {
            name: "Value",
            oneofDecl: [{ name: "value" }],
            field: [one("tag", 1, Type.STRING), one("simple_value", 2, Type.FLOAT, 0)],
          },
        ],
      },
    ],
  });
  const registry = createFileRegistry(file, () => undefined);
  const find = <M extends Message>(name: M["$typeName"]): GenMessage<M> => registry.getMessage(name) as GenMessage<M>;
  return {
    event: find<Event>("tensorflow.Event"),
    sessionLog: find<SessionLog>("tensorflow.SessionLog"),
    summary: find<Summary>("tensorflow.Summary"),
    value: find<Value>("tensorflow.Summary.Value"),
  };
}
