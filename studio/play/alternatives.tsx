/** Tokens that could stand in a place, with their probabilities as bars; a press takes one. */
import type { Alternative } from "../../src/studio/api.ts";
import { percent } from "../base/format.ts";
import { inLine, named } from "./tokens.tsx";

interface Props {
  readonly label: string;
  readonly alternatives: readonly Alternative[];
  /** The token that is there. */
  readonly taken?: number | undefined;
  readonly disabled?: boolean;
  readonly onTake: (alternative: Alternative) => void;
}

export function Alternatives({ label, alternatives, taken, disabled = false, onTake }: Props) {
  const most = Math.max(...alternatives.map(({ probability }) => probability), 1e-9);
  return (
    <ol class="bars" aria-label={label}>
      {alternatives.map((alternative) => {
        const { id, text, probability } = alternative;
        return (
          <li key={id}>
            <button
              type="button"
              disabled={disabled}
              aria-pressed={id === taken}
              style={{ "--share": probability / most }}
              onClick={() => onTake(alternative)}
            >
              <span class="token-name" aria-hidden="true">
                {inLine(text)}
              </span>
              <span class="hidden">{named(text) ?? text}</span> <span class="share">{percent(probability)}</span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}
