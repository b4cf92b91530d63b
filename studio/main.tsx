/** Starts the page of `longhand studio`. */
import "./styles/index.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { hideToken } from "./base/route.ts";
import { connect } from "./runs/store.ts";

hideToken();
connect();
render(<App />, document.body);
