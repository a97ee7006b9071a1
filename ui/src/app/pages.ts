/** Every page: where it is, its place in the navigation, and who sees it there. The one list for rail, palette and keys. */
import Activity from "@lucide/svelte/icons/activity";
import BookOpen from "@lucide/svelte/icons/book-open";
import Boxes from "@lucide/svelte/icons/boxes";
import FileCode from "@lucide/svelte/icons/file-code";
import KeyRound from "@lucide/svelte/icons/key-round";
import MessagesSquare from "@lucide/svelte/icons/messages-square";
import Plug from "@lucide/svelte/icons/plug";
import ScrollText from "@lucide/svelte/icons/scroll-text";
import Settings from "@lucide/svelte/icons/settings";
import Users from "@lucide/svelte/icons/users";
import { shell } from "$text/shell";
import { session } from "./session.svelte";

export interface Page {
  path:
    | "/playground"
    | "/models"
    | "/overview"
    | "/connections"
    | "/keys"
    | "/people"
    | "/audit"
    | "/settings"
    | "/yard"
    | "/reference";
  name: string;
  group: "use" | "run" | "govern" | "foot";
  icon: typeof Activity;
  /** The second letter of `g m`. */
  key: string;
  visible: () => boolean;
}

const everyone = () => true;
const administrators = () => session.isAdministrator;

export const pages: Page[] = [
  {
    path: "/playground",
    name: shell.pages.playground,
    group: "use",
    icon: MessagesSquare,
    key: "p",
    visible: everyone,
  },
  { path: "/models", name: shell.pages.models, group: "use", icon: Boxes, key: "m", visible: everyone },
  { path: "/overview", name: shell.pages.overview, group: "run", icon: Activity, key: "o", visible: administrators },
  { path: "/connections", name: shell.pages.connections, group: "run", icon: Plug, key: "c", visible: administrators },
  {
    path: "/keys",
    name: shell.pages.keys,
    group: "govern",
    icon: KeyRound,
    key: "k",
    visible: () => session.may("features.api_keys"),
  },
  { path: "/people", name: shell.pages.people, group: "govern", icon: Users, key: "u", visible: administrators },
  { path: "/audit", name: shell.pages.audit, group: "govern", icon: ScrollText, key: "a", visible: administrators },
  { path: "/yard", name: shell.pages.yard, group: "govern", icon: FileCode, key: "y", visible: administrators },
  { path: "/reference", name: shell.pages.reference, group: "foot", icon: BookOpen, key: "r", visible: everyone },
  { path: "/settings", name: shell.pages.settings, group: "foot", icon: Settings, key: "s", visible: administrators },
];

export const visiblePages = () => pages.filter((page) => page.visible());
