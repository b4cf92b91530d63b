/** The studio: a page over a folder of runs, for this machine alone and whoever has the token. */
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { makeFolders } from "../checkpoint/run-folder.node.ts";
import { parseSettings } from "../config/fields.ts";
import { type StudioSettingsInput, studioSettingsSchema } from "../config/studio-settings.ts";
import { listenError } from "../service/listen.ts";
import type { StudioParts } from "./http/routes.ts";
import { Models } from "./model/models.ts";
import { RunsFolder } from "./runs/folder.ts";
import { Live } from "./runs/live.ts";
import { ColumnsOfRuns } from "./runs/metrics.ts";
import { tidy } from "./runs/places.ts";
import { TRAININGS_FOLDER, Trainings } from "./training/processes.ts";

export interface StudioOptions extends StudioSettingsInput {
  /** The runs folder. */
  readonly runs: string;
  /** The words that start Longhand's command line: a training is started with them. */
  readonly program: readonly string[];
  readonly onWarning?: ((message: string) => void) | undefined;
}

export interface Studio {
  /** With the token: what a person opens. */
  readonly url: string;
  /** Stops answering. Trainings go on. */
  close(): Promise<void>;
}

const HOST = "127.0.0.1";

/** The page as it is built, beside this file's folder in the package and in a checkout. */
const PAGE = fileURLToPath(
  import.meta.url.endsWith(".ts")
    ? new URL("../../dist/studio", import.meta.url)
    : new URL("../../studio", import.meta.url),
);

/** Everything behind the routes. */
export function studioParts(
  runs: string,
  { program, onWarning = () => {}, ...load }: Pick<StudioOptions, "program" | "onWarning" | "device" | "threads">,
): StudioParts {
  const folder = new RunsFolder(tidy(runs));
  const trainings = new Trainings(folder.path, program);
  const live = new Live({
    folder: folder.path,
    others: [TRAININGS_FOLDER],
    summaries: () => folder.summaries(),
    trainings: () => trainings.list(),
  });
  return { folder, columns: new ColumnsOfRuns(), trainings, live, models: new Models(folder, load, onWarning) };
}

/** Makes the folder where there is none. Throws "io" or "usage" where that or listening is refused. */
export async function startStudio({ runs, program, onWarning = () => {}, ...given }: StudioOptions): Promise<Studio> {
  const { port, device, threads } = parseSettings(studioSettingsSchema, given);
  await makeFolders(runs); // a first training can be started from the page
  const { createStudioApp } = await import("./http/app.ts");
  const token = randomBytes(24).toString("base64url");
  const parts = studioParts(runs, { program, onWarning, device, threads });
  const app = createStudioApp({ ...parts, token, page: PAGE, onWarning });
  const address = await app.listen({ host: HOST, port }).catch((error) => {
    throw listenError(error, { host: HOST, port });
  });
  return {
    url: `${address}/?token=${token}`,
    close: async () => {
      parts.live.close();
      await app.close();
      await parts.models.close();
    },
  };
}
