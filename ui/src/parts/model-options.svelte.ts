/** The models that can be called, as choices. */
import { createQuery } from "@tanstack/svelte-query";
import { callableModels } from "$api/directory";
import { modelOption, type Option } from "./picking";

interface Listed {
  id: string;
  name: string;
  arena?: boolean;
}

/** Must be called while a component is made. */
export function createModelOptions(): () => Option[] | undefined {
  const models = createQuery(() => callableModels<Listed>());
  const options = $derived(models.data?.filter((model) => !model.arena).map(modelOption));
  return () => options;
}
