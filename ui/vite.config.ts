import { svelte } from "@sveltejs/vite-plugin-svelte";
import tailwindcss from "@tailwindcss/vite";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { compressed } from "./compressed.ts";

const source = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** Where `npm run dev` finds a running server. */
const server = process.env.MODELYARD_URL ?? "http://127.0.0.1:8484";

export default defineConfig({
  // Relative: the server may stand below a path of a reverse proxy.
  base: "./",
  plugins: [svelte(), tailwindcss(), compressed()],
  resolve: {
    alias: {
      $api: source("api"),
      $app: source("app"),
      $parts: source("parts"),
      $pages: source("pages"),
      // Another language is another folder beside `en` with the same files.
      $text: source(`text/${process.env.MODELYARD_LANGUAGE ?? "en"}`),
    },
    ...(process.env.VITEST ? { conditions: ["browser"] } : {}),
  },
  build: {
    outDir: "../src/modelyard/api/static/interface",
    emptyOutDir: true,
    target: "es2022",
    // The strict content security policy allows no data: scripts and no inline ones.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(["/api", "/v1", "/openai", "/ollama"].map((path) => [path, { target: server }])),
  },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"] },
});
