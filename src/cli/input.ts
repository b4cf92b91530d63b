/** Standard input as a text, where an argument is -. */
import { buffer } from "node:stream/consumers";
import { LonghandError, messageOf } from "../base/errors.ts";

/** Throws "data" naming `what` when it is not UTF-8. */
export async function readStandardInput(what: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await buffer(process.stdin));
  } catch (error) {
    throw new LonghandError("data", `${what}: standard input is not UTF-8 text (${messageOf(error)})`, {
      cause: error,
    });
  }
}
