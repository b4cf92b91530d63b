/** Starts the page. */
import "uplot/dist/uPlot.min.css";
import "./frame.css";
import "./style.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { loadRuns } from "./state.ts";

render(<App />, document.body);
void loadRuns();
