/** The models that can be called, as choices. */
import { createQuery } from "@tanstack/svelte-query";
import { callableModels } from "$api/directory";
import type { Option } from "$parts/picking";

interface Listed {
  id: string;
  name: string;
  arena?: boolean;
}

/** Must be called while a component is made. */
export function createModelOptions(): () => Option[] | undefined {
  const models = createQuery(() => callableModels<Listed>());
  const options = $derived.by(() =>
    models.data
      ?.filter((model) => !model.arena)
      .map(({ id, name }) => ({ value: id, label: name || id, ...(name && name !== id ? { detail: id } : {}) })),
  );
  return () => options;
}
