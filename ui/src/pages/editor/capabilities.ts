/** What clients may offer with a model, as it is when nothing is said. */
import { editor } from "$text/editor";

export type Capability = keyof typeof editor.capabilities.names;

export const capabilities = Object.keys(editor.capabilities.names) as Capability[];
export const capabilityDefaults = Object.fromEntries(capabilities.map((name) => [name, name !== "usage"])) as Record<
  Capability,
  boolean
>;

/** Features that can be on at the start of a chat, where the capability is. */
export const features = ["web_search", "image_generation", "code_interpreter"] as const satisfies readonly Capability[];
