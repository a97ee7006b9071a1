/** Addresses and the page behind each. A page is loaded when it is first opened. Ids travel in the query (`?id=`), because
 * those of models contain slashes. */
import { blockNavigation, createRouter } from "sv-router";
import { session } from "./session.svelte";
import SignOut from "./SignOut.svelte";

export const { p, navigate, route } = createRouter({
  "/overview": () => import("$pages/overview/Overview.svelte"),
  "/welcome": () => import("$pages/welcome/Welcome.svelte"),
  "/playground": () => import("$pages/playground/Playground.svelte"),
  "/models": () => import("$pages/models/Models.svelte"),
  "/models/deleted": () => import("$pages/models/Deleted.svelte"),
  "/models/import": () => import("$pages/models/Import.svelte"),
  "/models/new": () => import("$pages/editor/Editor.svelte"),
  "/models/edit": () => import("$pages/editor/Editor.svelte"),
  "/models/history": () => import("$pages/editor/History.svelte"),
  "/connections": () => import("$pages/connections/Connections.svelte"),
  "/keys": () => import("$pages/keys/Keys.svelte"),
  "/people": () => import("$pages/people/People.svelte"),
  "/people/groups": () => import("$pages/people/Groups.svelte"),
  "/people/permissions": () => import("$pages/people/Permissions.svelte"),
  "/account": () => import("$pages/account/Account.svelte"),
  "/audit": () => import("$pages/audit/Audit.svelte"),
  "/settings": () => import("$pages/settings/Settings.svelte"),
  "/yard": () => import("$pages/yard/Yard.svelte"),
  "/reference": () => import("$pages/reference/Reference.svelte"),
  "/signout": SignOut,
  "*": () => import("./NotFound.svelte"),
});

// The router notices steps back through the history only while something might block them; unless it does so always, a page
// with unsaved changes is left by Back although the person stays.
blockNavigation(() => true);

/** Where a visit begins. */
export const start = (): "/overview" | "/playground" => (session.isAdministrator ? "/overview" : "/playground");

/** Signs out, unless the page that is left has unsaved changes and the person stays. */
export const leave = (): void => void navigate("/signout", { state: "asked" });
