import { api } from "$api/client";

/** Ends the session of somebody who waits for approval: it is good for nothing, and would keep the sign-in page away. */
export async function leaveWaiting(): Promise<void> {
  await api.POST("/api/v1/auths/signout");
}
