/** The models that can be called, as choices. */
import { createQuery } from "@tanstack/svelte-query";
import { send } from "$api/client";
import type { Option } from "$parts/Picker.svelte";

interface Listed {
  data: { id: string; name: string; arena?: boolean }[];
}

/** Must be called while a component is made. */
export function createModelOptions(): () => Option[] | undefined {
  const models = createQuery(() => ({
    queryKey: ["chat-models"],
    queryFn: async ({ signal }) => (await (await send("/api/models", { signal })).json()) as Listed,
  }));
  const options = $derived.by(() =>
    models.data?.data
      .filter((model) => !model.arena)
      .map(({ id, name }) => ({ value: id, label: name || id, ...(name && name !== id ? { detail: id } : {}) })),
  );
  return () => options;
}
