/** The models that the person can talk to, from `GET /api/models`. */

export interface ChatModel {
  id: string;
  name: string;
  /** null: nobody said whether it takes images. */
  vision: boolean | null;
  suggestions: string[];
}

export const MOST_SUGGESTIONS = 8;

/** An entry of the list as far as this page reads it. */
export interface Listed {
  id: string;
  name?: string;
  info?: {
    meta?: { suggestion_prompts?: { content?: unknown }[] | null; capabilities?: { vision?: unknown } | null } | null;
  } | null;
}

export const chatModels = (entries: readonly Listed[]): ChatModel[] => entries.map(read);

function read({ id, name, info }: Listed): ChatModel {
  const vision = info?.meta?.capabilities?.vision;
  const prompts = info?.meta?.suggestion_prompts;
  const texts = (Array.isArray(prompts) ? prompts : []).map((prompt) => prompt?.content);
  return {
    id,
    name: name || id,
    vision: typeof vision === "boolean" ? vision : null,
    suggestions: [...new Set(texts.filter((text) => typeof text === "string" && text !== "") as string[])].slice(
      0,
      MOST_SUGGESTIONS,
    ),
  };
}

const MOST_LETTERS = 40;

/** A name as it stands in a sentence. */
export function shortened(name: string): string {
  const letters = [...name];
  return letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS).join("").trimEnd()}…` : name;
}

/** The model to begin with: the first of the defaults that there is, else the first of all. */
export function firstModel(models: readonly ChatModel[], defaults: string | null | undefined): string {
  const wanted = (defaults ?? "").split(",").map((id) => id.trim());
  return wanted.find((id) => models.some((model) => model.id === id)) ?? models[0]?.id ?? "";
}

/** Several ids as one value of the address: `a,b`. A comma in an id is written as %2C. */
export function joined(ids: readonly string[]): string {
  return ids.map((id) => id.replaceAll("%", "%25").replaceAll(",", "%2C")).join(",");
}

export function separated(value: string): string[] {
  return value ? value.split(",").map((id) => id.replaceAll("%2C", ",").replaceAll("%25", "%")) : [];
}
