/** Fields and messages: the elements of the component library with the few properties that the page needs. */
import "@awesome.me/webawesome/dist/components/badge/badge.js";
import "@awesome.me/webawesome/dist/components/button/button.js";
import "@awesome.me/webawesome/dist/components/callout/callout.js";
import "@awesome.me/webawesome/dist/components/copy-button/copy-button.js";
import "@awesome.me/webawesome/dist/components/details/details.js";
import "@awesome.me/webawesome/dist/components/dialog/dialog.js";
import "@awesome.me/webawesome/dist/components/input/input.js";
import "@awesome.me/webawesome/dist/components/option/option.js";
import "@awesome.me/webawesome/dist/components/progress-bar/progress-bar.js";
import "@awesome.me/webawesome/dist/components/select/select.js";
import "@awesome.me/webawesome/dist/components/slider/slider.js";
import "@awesome.me/webawesome/dist/components/switch/switch.js";
import "@awesome.me/webawesome/dist/components/textarea/textarea.js";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Labels {
  readonly label: string;
  readonly hint?: string | undefined;
}

/** The value of the element that an event is of. */
const writtenIn = (event: Event): string => String((event.currentTarget as HTMLInputElement).value ?? "");

interface TextProps extends Labels {
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly placeholder?: string | undefined;
  readonly disabled?: boolean;
}

export function TextField({ label, hint = "", value, onInput, placeholder = "", disabled = false }: TextProps) {
  const on = (event: Event) => onInput(writtenIn(event));
  return (
    <wa-input
      size="s"
      {...{ label, hint, value, placeholder, disabled }}
      spellcheck={false}
      autocomplete="off"
      onInput={on}
    />
  );
}

interface NumberProps extends TextProps {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly step?: number | "any";
}

/** Its value is what is written, so that a number that is not finished yet stays as it is. */
export function NumberField({ onInput, min, max, step = "any", hint = "", placeholder = "", ...rest }: NumberProps) {
  const on = (event: Event) => onInput(writtenIn(event));
  const range = { ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
  return <wa-input size="s" type="number" {...{ hint, placeholder, step, ...range, ...rest }} onInput={on} />;
}

interface LongTextProps extends TextProps {
  readonly rows?: number;
}

export function LongText({ onInput, rows = 6, hint = "", placeholder = "", ...rest }: LongTextProps) {
  const on = (event: Event) => onInput(writtenIn(event));
  return (
    <wa-textarea size="s" resize="vertical" spellcheck={false} {...{ rows, hint, placeholder, ...rest }} onInput={on} />
  );
}

export interface Option {
  readonly value: string;
  readonly text: string;
}

interface ChoiceProps extends Labels {
  readonly value: string;
  readonly options: readonly Option[];
  readonly onChange: (value: string) => void;
  readonly placeholder?: string | undefined;
  /** Whether it can be emptied. */
  readonly clear?: boolean;
}

export function Choice({ options, onChange, hint = "", placeholder = "", clear = false, ...rest }: ChoiceProps) {
  const on = (event: Event) => onChange(writtenIn(event));
  return (
    <wa-select size="s" {...{ hint, placeholder, ...rest }} withClear={clear} onChange={on}>
      {options.map(({ value, text }) => (
        <wa-option key={value} value={value}>
          {text}
        </wa-option>
      ))}
    </wa-select>
  );
}

interface SegmentsProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly { readonly value: Value; readonly text: string }[];
  readonly onChange: (value: Value) => void;
}

/** One of a few, all seen: radio buttons in a row. */
export function Segments<Value extends string>({ label, value, options, onChange }: SegmentsProps<Value>) {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend>{label}</legend>
      <div>
        {options.map((option) => (
          <label key={option.value}>
            <input type="radio" name={name} checked={option.value === value} onChange={() => onChange(option.value)} />
            <span>{option.text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface SwitchProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}

export function Switch({ label, hint = "", checked, onChange }: SwitchProps) {
  const on = (event: Event) => onChange((event.currentTarget as HTMLInputElement).checked);
  return (
    <wa-switch size="s" {...{ checked, hint }} onChange={on}>
      {label}
    </wa-switch>
  );
}

interface ButtonProps {
  readonly children: ComponentChildren;
  readonly onClick?: (() => void) | undefined;
  readonly kind?: "main" | "plain" | "danger";
  readonly type?: "button" | "submit";
  readonly disabled?: boolean;
  readonly busy?: boolean;
  readonly href?: string | undefined;
  /** What it says to those who do not see a sign. */
  readonly label?: string;
}

export function Button(props: ButtonProps) {
  const { children, onClick, kind = "plain", type = "button", disabled = false, busy = false, href, label } = props;
  const look = {
    main: { variant: "brand", appearance: "accent" },
    plain: { variant: "neutral", appearance: "outlined" },
    danger: { variant: "danger", appearance: "outlined" },
  } as const;
  const on = onClick === undefined ? {} : { onClick: () => onClick() };
  return (
    <wa-button
      size="s"
      {...look[kind]}
      {...{ type, disabled }}
      loading={busy}
      {...(href && { href })}
      {...on}
      title={label}
    >
      {label === undefined ? (
        children
      ) : (
        <>
          <span aria-hidden="true">{children}</span>
          <span class="hidden">{label}</span>
        </>
      )}
    </wa-button>
  );
}

/** A message in its place; `role` alert is said at once. */
export function Message({
  kind,
  children,
}: {
  readonly kind: "problem" | "note";
  readonly children: ComponentChildren;
}) {
  const variant = kind === "problem" ? "danger" : "neutral";
  return (
    <div role={kind === "problem" ? "alert" : undefined}>
      <wa-callout size="s" variant={variant} appearance="filled">
        {children}
      </wa-callout>
    </div>
  );
}
