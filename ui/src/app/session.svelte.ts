/** Who is signed in, and what they may do. What is shown follows from it; the server decides by itself. */
import type { Schemas } from "$api/client";

export type Person = Schemas["modelyard__control__people__schemas__Person"];
export type ClientConfig = Schemas["ClientConfig"];

class Session {
  person = $state<Person | null>(null);
  config = $state<ClientConfig | null>(null);
  /** True when it ended by itself; the page stays, with what was typed, until the person signs in again. */
  lost = $state(false);

  get isAdministrator(): boolean {
    return this.person?.role === "admin";
  }

  /** Whether a permission such as `workspace.models` is the person's. */
  may(permission: string): boolean {
    if (this.isAdministrator) return true;
    const [area = "", name = ""] = permission.split(".");
    const granted = this.config?.permissions as Record<string, Record<string, boolean>> | undefined;
    return granted?.[area]?.[name] ?? false;
  }

  begin(person: Person, config: ClientConfig): void {
    this.person = person;
    this.config = config;
    this.lost = false;
  }

  /** The server no longer knows the session. */
  ended(): void {
    if (this.person) this.lost = true;
  }

  leave(): void {
    this.person = null;
    this.config = null;
    this.lost = false;
  }
}

export const session = new Session();
