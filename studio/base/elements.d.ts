/** The elements of the component library that the page uses, for JSX: attributes are their properties. */
import type { HTMLAttributes } from "preact";

type Size = "xs" | "s" | "m" | "l";
type Variant = "neutral" | "brand" | "success" | "warning" | "danger";

/** An element with its own properties beside those that all have. */
type Element<Own = unknown> = Omit<HTMLAttributes<HTMLElement>, "size" | "label"> & Own;

interface Labelled {
  label?: string;
  hint?: string;
  size?: Size;
  disabled?: boolean;
}

declare module "preact" {
  namespace JSX {
    interface IntrinsicElements {
      "wa-button": Element<{
        variant?: Variant;
        appearance?: "accent" | "filled" | "outlined" | "plain";
        size?: Size;
        type?: "button" | "submit";
        disabled?: boolean;
        loading?: boolean;
        href?: string;
      }>;
      "wa-input": Element<
        Labelled & {
          value?: string;
          type?: "text" | "number" | "search";
          placeholder?: string;
          min?: number;
          max?: number;
          step?: number | "any";
        }
      >;
      "wa-textarea": Element<
        Labelled & { value?: string; rows?: number; placeholder?: string; resize?: "vertical" | "auto" | "none" }
      >;
      "wa-select": Element<Labelled & { value?: string; placeholder?: string; withClear?: boolean }>;
      "wa-option": Element<{ value?: string; disabled?: boolean }>;
      "wa-switch": Element<Labelled & { checked?: boolean }>;
      "wa-slider": Element<Labelled & { value?: number; min?: number; max?: number; step?: number }>;
      "wa-details": Element<{ summary?: string; open?: boolean; appearance?: "filled" | "outlined" | "plain" }>;
      "wa-dialog": Element<{ label?: string; open?: boolean }>;
      "wa-callout": Element<{ variant?: Variant; appearance?: string; size?: Size }>;
      "wa-badge": Element<{ variant?: Variant; appearance?: string; pill?: boolean; attention?: "none" | "pulse" }>;
      "wa-copy-button": Element<{ value?: string; copyLabel?: string }>;
      "wa-progress-bar": Element<{ value?: number; label?: string; indeterminate?: boolean }>;
    }
  }
}
