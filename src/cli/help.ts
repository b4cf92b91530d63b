/**
 * Help as people read it: as wide as the terminal, an option's sentence below it where its flag is long, options in groups,
 * and of a command with many only those that matter first, unless all are asked for.
 */
import { type Command, Help, type Option } from "commander";

/** Columns of a flag beside which its sentence still stands. */
const WIDEST_FLAG = 26;

const rare = new WeakSet<Option>();

/** Shows an option only where all are asked for. */
export function showLast(option: Option): Option {
  rare.add(option);
  return option;
}

export function configureHelp(program: Command, { all }: { readonly all: boolean }): void {
  program.configureHelp({
    visibleOptions: (command) => {
      const options = visible.visibleOptions(command);
      return all ? options : options.filter((option) => !rare.has(option));
    },
    padWidth: (command, helper) => Math.min(visible.padWidth(command, helper), WIDEST_FLAG),
    formatItem: (term, width, description, helper) => {
      if (helper.displayWidth(term) <= width) return visible.formatItem.call(helper, term, width, description, helper);
      const below = visible.formatItem.call(helper, "", width, description, helper);
      return `  ${term}\n${below}`;
    },
  });
}

/** "--help --all shows 40 more options.", where some are not shown. */
export function moreOptions(command: Command): string {
  const shown = new Set(command.createHelp().visibleOptions(command));
  const hidden = command.options.filter((option) => rare.has(option) && !shown.has(option)).length;
  return hidden === 0 ? "" : `\n\nlonghand ${command.name()} --help --all shows ${hidden} more options.`;
}

const visible = new Help();
