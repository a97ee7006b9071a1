/** The three roles, for forms. */
import { people } from "$text/people";

export type Role = "admin" | "user" | "pending";

export const roleOptions = (["user", "admin", "pending"] as const).map((value) => ({
  value,
  label: people.roles[value],
}));

export const isRole = (text: string): text is Role => text === "admin" || text === "user" || text === "pending";
