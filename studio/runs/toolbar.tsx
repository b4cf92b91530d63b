/** How curves are drawn: along what, how smooth, on which axes, and which part of them. */
import { Button, Segments, Switch } from "../base/controls.tsx";
import { setArgument } from "../base/route.ts";
import { type Extent, type Group, zoom } from "../plot/group.ts";
import { axis, logX, logY, setLog, smoothing } from "./chosen.ts";

export function Toolbar({ group, extent }: { readonly group: Group; readonly extent: Extent }) {
  const zoomedIn = group.view.value !== undefined;
  return (
    <section class="toolbar" aria-label="How curves are drawn">
      <Segments
        label="Along"
        value={axis.value}
        options={[
          { value: "step", text: "Steps" },
          { value: "tokens", text: "Tokens" },
          { value: "seconds", text: "Time" },
        ]}
        onChange={(value) => setArgument("x", value, "step")}
      />
      <wa-slider
        class="smoothing"
        size="s"
        label={`Smoothing ${smoothing.value === 0 ? "off" : smoothing.value}`}
        min={0}
        max={0.99}
        step={0.01}
        value={smoothing.value}
        onInput={(event: Event) => setArgument("smooth", String((event.currentTarget as HTMLInputElement).value), "0")}
      />
      <div class="row">
        <Switch label="Log x" checked={logX.value} onChange={(on) => setLog("x", on)} />
        <Switch label="Log y" checked={logY.value} onChange={(on) => setLog("y", on)} />
      </div>
      <Segments
        label="Dragging"
        value={group.drag.value}
        options={[
          { value: "zoom", text: "Zooms" },
          { value: "pan", text: "Pans" },
        ]}
        onChange={(value) => {
          group.drag.value = value;
        }}
      />
      <div class="row">
        <Button label="Zoom in" onClick={() => zoom(group, extent, 0.5)}>
          +
        </Button>
        <Button label="Zoom out" disabled={!zoomedIn} onClick={() => zoom(group, extent, 2)}>
          −
        </Button>
        <Button
          disabled={!zoomedIn}
          onClick={() => {
            group.view.value = undefined;
          }}
        >
          All
        </Button>
      </div>
    </section>
  );
}
