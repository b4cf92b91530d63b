/** Light or dark: that of the system until one of them is chosen, which this browser remembers. */
import { computed, effect, signal } from "@preact/signals";

export type Choice = "system" | "light" | "dark";

const KEY = "longhand-studio-scheme";
const system = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(system.matches);
system.addEventListener("change", () => {
  systemIsDark.value = system.matches;
});

function remembered(): Choice {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "dark" ? value : "system";
}

export const choice = signal<Choice>(remembered());
export const dark = computed(() => (choice.value === "system" ? systemIsDark.value : choice.value === "dark"));

effect(() => {
  document.documentElement.classList.toggle("wa-dark", dark.value);
  document.documentElement.classList.toggle("wa-light", !dark.value);
  if (choice.value === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, choice.value);
});
