/** The parameters panel: what is typed in it, and the parameters of the request that come of it. */
import { playground } from "$text/playground";

const text = playground.settings;

export interface Settings {
  system: string;
  temperature: number | null;
  topP: number | null;
  maxTokens: number | null;
  presence: number | null;
  frequency: number | null;
  seed: number | null;
  stop: string[];
  effort: string;
  /** JSON, as typed. */
  tools: string;
  free: string;
}

export const EFFORTS = ["none", "minimal", "low", "medium", "high"] as const;

export function defaults(): Settings {
  return {
    ...{ system: "", temperature: null, topP: null, maxTokens: null, presence: null, frequency: null, seed: null },
    ...{ stop: [], effort: "", tools: "", free: "" },
  };
}

/** What the page itself says in every request. */
const RESERVED = ["model", "messages", "stream", "stream_options"];

export interface Parameters {
  params: Record<string, unknown>;
  /** By the name of the field, what is wrong with it. */
  faults: { tools?: string; free?: string };
}

export function parametersOf(settings: Settings): Parameters {
  const faults: Parameters["faults"] = {};
  const params: Record<string, unknown> = {
    temperature: settings.temperature,
    top_p: settings.topP,
    max_tokens: settings.maxTokens,
    presence_penalty: settings.presence,
    frequency_penalty: settings.frequency,
    seed: settings.seed,
    stop: settings.stop.length ? [...settings.stop] : null,
    reasoning_effort: settings.effort || null,
  };
  for (const [name, value] of Object.entries(params)) if (value === null || value === undefined) delete params[name];
  try {
    const tools = parsed(settings.tools);
    if (tools !== undefined) params.tools = checkedTools(tools);
  } catch (error) {
    faults.tools = (error as Error).message;
  }
  try {
    const free = parsed(settings.free);
    if (free !== undefined) Object.assign(params, checkedFree(free));
  } catch (error) {
    faults.free = (error as Error).message;
  }
  return { params, faults };
}

function parsed(json: string): unknown {
  if (!json.trim()) return undefined;
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    throw new Error(text.notJson((error as Error).message), { cause: error });
  }
}

function checkedTools(tools: unknown): unknown {
  const sound =
    Array.isArray(tools) &&
    (tools as unknown[]).every((tool) => {
      const { type, function: told } = (tool ?? {}) as { type?: unknown; function?: { name?: unknown } };
      return typeof type === "string" && (type !== "function" || typeof told?.name === "string");
    });
  if (!sound) throw new Error(text.notTools);
  return tools;
}

function checkedFree(free: unknown): object {
  if (typeof free !== "object" || free === null || Array.isArray(free)) throw new Error(text.notObject);
  const reserved = RESERVED.find((name) => Object.hasOwn(free, name));
  if (reserved) throw new Error(text.reserved(reserved));
  return free;
}
