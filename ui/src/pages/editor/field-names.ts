/** What a field is called on the form, by its path in a model: `params.top_k` is "Top K". */
import { editor } from "$text/editor";
import { parameterWords } from "$text/parameters";

const words = editor;
const fixed: Record<string, string> = {
  id: words.id,
  name: words.name,
  base_model_id: words.base,
  is_active: words.active,
  access_grants: words.sections.access,
  access_control: words.sections.access,
  params: words.sections.parameters,
  "params.system": words.prompt.label,
  "params.locked": words.fieldNames.locked,
  "params.custom_params": words.parameters.custom,
  "meta.description": words.description,
  "meta.tags": words.tags,
  "meta.hidden": words.hidden,
  "meta.profile_image_url": words.picture.label,
  profile_image: words.picture.label,
  "meta.suggestion_prompts": words.suggestions.mode,
  "meta.knowledge": words.attachments.knowledge,
  "meta.toolIds": words.attachments.tools,
  "meta.filterIds": words.attachments.filters,
  "meta.defaultFilterIds": words.attachments.defaultFilters,
  "meta.actionIds": words.attachments.actions,
  "meta.capabilities": words.sections.capabilities,
  "meta.defaultFeatureIds": words.capabilities.features,
};

const within = (place: string, part: string): string => words.fieldNames.within(fixed[place] ?? place, part);

export function fieldName(path: string): string {
  const known = fixed[path];
  if (known) return known;
  const [area = "", name = "", ...rest] = path.split(".");
  const inner = rest.join(".");
  const place = `${area}.${name}`;
  if (place === "params.custom_params") return within(place, inner);
  if (place === "meta.capabilities") {
    const names: Record<string, readonly string[]> = words.capabilities.names;
    return within(place, names[inner]?.[0] ?? inner);
  }
  const parameter = area === "params" && Object.hasOwn(parameterWords, name) && parameterWords[name as "seed"];
  if (!parameter) return path;
  return inner ? words.fieldNames.within(parameter.label, inner) : parameter.label;
}
