/** What everybody may know of the installation, asked for again after somebody changed it. */
import { api, body } from "$api/client";
import { Problem } from "$api/problem";
import { session } from "./session.svelte";

export async function refreshConfig(): Promise<void> {
  try {
    session.config = await body(api.GET("/api/v1/config"));
  } catch (error) {
    // It is asked for again when somebody comes back to the page.
    if (!(error instanceof Problem)) throw error;
  }
}
