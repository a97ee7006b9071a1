/** Light, dark, or what the system says. `public/theme.js` sets the first one before the page is painted. */

export type Theme = "system" | "light" | "dark";

const KEY = "modelyard.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

class ThemeChoice {
  chosen = $state<Theme>(stored());

  constructor() {
    system.addEventListener("change", () => this.#show());
  }

  choose(theme: Theme): void {
    this.chosen = theme;
    try {
      if (theme === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // Storage may be switched off; the choice holds until the page is left.
    }
    this.#show();
  }

  #show(): void {
    const dark = this.chosen === "dark" || (this.chosen === "system" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  }
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

export const theme = new ThemeChoice();
