/** One setting in the form, by the kind of its schema. */
import type { JsonSchema } from "../../src/studio/api.ts";
import { Choice, NumberField, Switch, TextField } from "../base/controls.tsx";
import { kindOf, placeholderOf, titleOf } from "./fields.ts";

interface Props {
  readonly name: string;
  readonly flag: string | undefined;
  readonly schema: JsonSchema;
  readonly value: string | undefined;
  readonly onChange: (value: string) => void;
}

export function Field({ name, flag, schema, value, onChange }: Props) {
  const label = titleOf(name);
  const hint = schema.description?.replaceAll("`", "");
  const placeholder = placeholderOf(schema);
  const common = { label, hint, placeholder, value: value ?? "" };
  return (
    <div class="field" title={flag}>
      {field()}
    </div>
  );

  function field() {
    switch (kindOf(schema)) {
      case "switch":
        return (
          <Switch
            label={label}
            hint={hint}
            checked={(value ?? String(schema.default ?? "")) === "true"}
            onChange={(on) => onChange(on ? "true" : "")}
          />
        );
      case "choice":
        return (
          <Choice
            {...common}
            value={value ?? String(schema.default ?? "")}
            options={(schema.enum ?? []).map((one) => ({ value: String(one), text: String(one) }))}
            clear={schema.default === undefined}
            onChange={onChange}
          />
        );
      case "number":
        return (
          <NumberField
            {...common}
            min={schema.minimum ?? schema.exclusiveMinimum}
            max={schema.maximum ?? schema.exclusiveMaximum}
            step={schema.type === "integer" ? 1 : "any"}
            onInput={onChange}
          />
        );
      default:
        return <TextField {...common} onInput={onChange} />;
    }
  }
}
