/** Parameters of a model, in words: what each is called, what it does, and what happens when it is left alone. */
export const parameterWords = {
  temperature: {
    label: "Temperature",
    help: "Higher is more varied, lower is more predictable.",
    default: "Backend default (often 0.8 or 1)",
  },
  top_p: {
    label: "Top P",
    help: "Only the likeliest tokens that together reach this share.",
    default: "Backend default (often 0.9 or 1)",
  },
  top_k: { label: "Top K", help: "Only this many of the likeliest tokens.", default: "Backend default (often 40)" },
  min_p: {
    label: "Min P",
    help: "Leaves out tokens less likely than this share of the likeliest one.",
    default: "Backend default (often 0)",
  },
  tfs_z: { label: "Tail-free sampling", help: "Removes the unlikely tail. 1 is off.", default: "Off" },
  seed: {
    label: "Seed",
    help: "The same seed and request give the same answer, where the backend can.",
    default: "A new one for every call",
  },
  frequency_penalty: {
    label: "Frequency penalty",
    help: "Above 0, tokens used often become less likely.",
    default: "0",
  },
  presence_penalty: {
    label: "Presence penalty",
    help: "Above 0, tokens used at all become less likely.",
    default: "0",
  },
  repeat_penalty: {
    label: "Repeat penalty",
    help: "Above 1, repetition becomes less likely.",
    default: "Backend default (often 1.1)",
  },
  repeat_last_n: {
    label: "Repeat window",
    help: "How far back repetition counts. -1 is the whole context, 0 is off.",
    default: "64",
    unit: "tokens",
  },
  logit_bias: { label: "Logit bias", help: "A JSON object: token ID to a number from -100 to 100.", default: "None" },
  mirostat: { label: "Mirostat", help: "Keeps the surprise of an answer even.", default: "Off" },
  mirostat_eta: { label: "Mirostat eta", help: "How fast Mirostat adapts.", default: "0.1" },
  mirostat_tau: { label: "Mirostat tau", help: "Lower is more focused, higher more varied.", default: "5" },
  max_tokens: {
    label: "Longest answer",
    help: "The answer ends after this many tokens.",
    default: "Backend default",
    unit: "tokens",
  },
  stop: {
    label: "Stop sequences",
    help: "One per line; \\n is a line break. The answer ends before any of them.",
    default: "None",
  },
  reasoning_effort: {
    label: "Reasoning effort",
    help: "How much a reasoning model thinks.",
    default: "Backend default",
  },
  think: {
    label: "Think",
    help: "Whether an Ollama model thinks before it answers, and how much.",
    default: "Model default",
  },
  format: {
    label: "Answer format",
    help: "json, or a JSON schema for the answer (Ollama).",
    default: "Free text",
  },
  num_ctx: {
    label: "Context length",
    help: "How much the model can see at once.",
    default: "Backend default",
    unit: "tokens",
  },
  num_keep: {
    label: "Keep from the start",
    help: "How much of the prompt stays when the context is full. -1 is all.",
    default: "24",
    unit: "tokens",
  },
  num_batch: { label: "Batch size", help: "Prompt tokens processed at once.", default: "512", unit: "tokens" },
  num_thread: { label: "CPU threads", help: "Threads used for computing.", default: "Chosen by the backend" },
  num_gpu: {
    label: "GPU layers",
    help: "Layers offloaded to the GPU. 0 is none.",
    default: "Chosen by the backend",
  },
  keep_alive: {
    label: "Keep loaded",
    help: "How long the model stays in memory: 5m, 1h, 0, or -1 for no limit.",
    default: "5m",
  },
  use_mmap: { label: "Map into memory", help: "Load the model file by memory mapping.", default: "On" },
  use_mlock: { label: "Lock in memory", help: "Keep the model out of swap.", default: "Off" },
  stream_response: { label: "Stream the answer", help: "Show the answer while it is written.", default: "On" },
  stream_delta_chunk_size: {
    label: "Stream chunk size",
    help: "Joins this many chunks into one, for slow clients.",
    default: "1",
    unit: "chunks",
  },
  function_calling: {
    label: "Function calling",
    help: "Native: the model chooses tools itself.",
    default: "By the prompt",
  },
  reasoning_tags: {
    label: "Reasoning tags",
    help: "Marks between which a model writes its reasoning.",
    default: "<think> and </think>",
  },
} as const;
