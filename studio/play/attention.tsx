/** What a position attends to, layer by layer: the weights of its chunk as a strip, the exact half's share as a bar. */
import type { Attention, AttentionOfLayer } from "../../src/studio/api.ts";
import { figures, percent, whole } from "../base/format.ts";
import { inLine } from "./tokens.tsx";

interface Props {
  readonly attention: Attention;
  /** The layer whose weights shade the text. */
  readonly layer: number;
  readonly onLayer: (layer: number) => void;
}

export function AttentionView({ attention, layer, onLayer }: Props) {
  const { tokens, start, position, chunk, layers } = attention;
  return (
    <section aria-label="What the token attends to">
      <p class="quiet">
        {chunk === null
          ? `It sees all ${whole(tokens.length)} tokens up to it.`
          : `Local: tokens ${whole(start)} to ${whole(position)}, of its chunk of ${whole(chunk)}. Distant: chunks before.`}
        {" The layer that is chosen shades the text."}
      </p>
      <div class="layers" role="radiogroup" aria-label="Layer that shades the text">
        {layers.map((one, index) => (
          <div key={index}>
            <label>
              <input type="radio" name="layer" checked={index === layer} onChange={() => onLayer(index)} />
              <span>{`Layer ${index + 1}`}</span>
              <span class="quiet">{shareOf(one)}</span>
            </label>
            {one.localShare !== null && <ShareBar share={one.localShare} />}
            {one.heads.map((weights, head) => (
              <Strip key={`${head}/${one.heads.length}`} weights={weights} tokens={tokens.map(({ text }) => text)} />
            ))}
          </div>
        ))}
      </div>
    </section>
  );
}

function shareOf({ localShare, distantNorm }: AttentionOfLayer): string {
  if (distantNorm === null) return "no distant half";
  return localShare === null ? "adds nothing" : `${percent(localShare)} local, ${percent(1 - localShare)} distant`;
}

function ShareBar({ share }: { readonly share: number }) {
  return <span class="share-bar" style={{ "--share": share }} aria-hidden="true" />;
}

interface StripProps {
  readonly weights: readonly number[];
  readonly tokens: readonly string[];
}

function Strip({ weights, tokens }: StripProps) {
  const most = Math.max(...weights, 1e-12);
  const strongest = weights
    .map((weight, index) => ({ weight, text: tokens[index] }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, 3)
    .filter(({ weight }) => weight > 0);
  const told = strongest.map(({ weight, text }) => `${inLine(text)} ${figures(weight)}`).join(", ");
  return (
    <div class="strip" role="img" aria-label={told === "" ? "no weight anywhere" : `most on ${told}`}>
      {weights.map((weight, index) => (
        <span
          key={`${index}/${weights.length}`}
          style={{ "--weight": weight / most }}
          title={`${inLine(tokens[index])} ${figures(weight)}`}
        />
      ))}
    </div>
  );
}

/** Of each token of the chunk, its weight in a layer: the mean over heads, as a share of the largest. */
export function weightsOf({ layers }: Attention, layer: number): number[] {
  const { heads } = layers[Math.min(layer, layers.length - 1)];
  const means = heads[0].map((_, token) => heads.reduce((sum, head) => sum + head[token], 0) / heads.length);
  const most = Math.max(...means, 1e-12);
  return means.map((weight) => weight / most);
}
