import type { Subject } from "./subject";

/** What a row's menu asks about before it is done. */
export interface Asked {
  kind: "delete" | "share";
  model: Subject;
}
