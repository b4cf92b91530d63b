/**
 * The byte-to-character table of byte-level BPE (Radford et al. 2019, "Language Models are Unsupervised Multitask
 * Learners", encoder.py): every byte has a printable character, so that tokens can be written as strings.
 */

/** The character of each byte: itself when printable in Latin-1, else the next unused one from U+0100 on. */
export function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** A function from a token's string to its bytes; undefined when a character is not in the table. */
export function byteLevelDecoder(): (token: string) => Uint8Array | undefined {
  const byteOf = new Map(byteCharacters().map((character, byte) => [character, byte]));
  return (token) => {
    const bytes = new Uint8Array(token.length);
    for (let i = 0; i < token.length; i++) {
      const byte = byteOf.get(token[i]);
      if (byte === undefined) return undefined;
      bytes[i] = byte;
    }
    return bytes;
  };
}
