/**
 * Where the text that is read comes from: a field to write or paste into, or something long that no field could show.
 */
import { signal } from "@preact/signals";
import { Button, LongText } from "../base/controls.tsx";
import { bytes } from "../base/format.ts";

/** A file, or a paste so long that a field with it would be slow. */
interface Long {
  readonly name: string;
  readonly text: string;
}

const written = signal("");
const long = signal<Long | undefined>(undefined);

/** Characters above which a paste is not put into the field. */
const FIELD_MOST = 50_000;

export const sourceText = (): string => long.value?.text ?? written.value;

export function Source() {
  if (long.value !== undefined) {
    const { name, text } = long.value;
    return (
      <div class="row">
        <b>{name}</b> <span class="quiet">{bytes(new Blob([text]).size)}</span>
        <Button
          label="Take it away"
          onClick={() => {
            long.value = undefined;
          }}
        >
          ×
        </Button>
      </div>
    );
  }
  return (
    <div onPaste={paste}>
      <LongText
        label="Text to read"
        rows={6}
        placeholder="Paste a text, or open a file."
        value={written.value}
        onInput={(value) => {
          written.value = value;
        }}
      />
    </div>
  );
}

function paste(event: ClipboardEvent): void {
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (text.length <= FIELD_MOST) return;
  event.preventDefault();
  long.value = { name: "Pasted text", text };
}

export function OpenFile() {
  return (
    <label class="file">
      Open a file
      <input
        type="file"
        accept=".txt,.md,.text,text/*"
        onChange={async (event) => {
          const input = event.currentTarget;
          const [file] = input.files ?? [];
          if (file !== undefined) long.value = { name: file.name, text: await file.text() };
          input.value = ""; // the same file can be opened again
        }}
      />
    </label>
  );
}
