/** Whether the server still hands out the files that this tab was opened with. */
import { root } from "./place";

/** The name of the first script, in which a digest of everything stands. */
const SCRIPT = /assets\/index-[\w-]+\.js/;

/** True when it hands out others. Raises TypeError when it does not answer. */
export async function wasReplaced(): Promise<boolean> {
  const page = await (await fetch(`${root}/`, { headers: { accept: "text/html" }, cache: "no-store" })).text();
  const now = SCRIPT.exec(page)?.[0];
  return now !== undefined && ![...document.scripts].some((script) => script.src.endsWith(now));
}
