/** Parameters of a model, in words: what each is called, what it does, and what happens when it is left alone. */
export const parameterWords = {
  temperature: {
    label: "Temperature",
    help: "Higher is more varied, lower more predictable.",
    default: "what the backend says, often 0.8 or 1",
  },
  top_p: {
    label: "Top P",
    help: "Only the likeliest words that together reach this share.",
    default: "what the backend says, often 0.9 or 1",
  },
  top_k: { label: "Top K", help: "Only this many of the likeliest words.", default: "what the backend says, often 40" },
  min_p: {
    label: "Min P",
    help: "Leaves out words less likely than this share of the likeliest one.",
    default: "what the backend says, often 0",
  },
  tfs_z: { label: "Tail-free sampling", help: "Takes the unlikely tail away; 1 is off.", default: "off" },
  seed: {
    label: "Seed",
    help: "The same seed and request give the same answer, where the backend can.",
    default: "a new one for every call",
  },
  frequency_penalty: {
    label: "Frequency penalty",
    help: "Above 0: words that were used often become less likely.",
    default: "0",
  },
  presence_penalty: {
    label: "Presence penalty",
    help: "Above 0: words that were used at all become less likely.",
    default: "0",
  },
  repeat_penalty: {
    label: "Repeat penalty",
    help: "Above 1: repeating becomes less likely.",
    default: "what the backend says, often 1.1",
  },
  repeat_last_n: {
    label: "Repeat window",
    help: "How far back repeating counts; -1 is the whole context, 0 is off.",
    default: "64",
    unit: "tokens",
  },
  logit_bias: { label: "Logit bias", help: "A JSON object: token id to a number from -100 to 100.", default: "none" },
  mirostat: { label: "Mirostat", help: "Keeps the surprise of an answer even.", default: "off" },
  mirostat_eta: { label: "Mirostat eta", help: "How fast Mirostat adapts.", default: "0.1" },
  mirostat_tau: { label: "Mirostat tau", help: "Lower is more focused, higher more varied.", default: "5" },
  max_tokens: {
    label: "Longest answer",
    help: "The answer ends after so many tokens.",
    default: "what the backend says",
    unit: "tokens",
  },
  stop: {
    label: "Stop sequences",
    help: "One on a line; \\n stands for a line break. The answer ends before any of them.",
    default: "none",
  },
  reasoning_effort: {
    label: "Reasoning effort",
    help: "How long a model that thinks may think.",
    default: "what the backend says",
  },
  think: {
    label: "Think",
    help: "Whether a model of Ollama thinks before it answers, and how much.",
    default: "what the model does",
  },
  format: {
    label: "Answer format",
    help: "json, or a JSON schema that the answer has to follow (Ollama).",
    default: "free text",
  },
  num_ctx: {
    label: "Context length",
    help: "How much the model can see at once.",
    default: "what the backend says",
    unit: "tokens",
  },
  num_keep: {
    label: "Keep from the start",
    help: "So much of the prompt stays when the context is full; -1 is all.",
    default: "24",
    unit: "tokens",
  },
  num_batch: { label: "Batch size", help: "Tokens of a prompt that are read at once.", default: "512", unit: "tokens" },
  num_thread: { label: "CPU threads", help: "Threads that compute.", default: "chosen by the backend" },
  num_gpu: {
    label: "GPU layers",
    help: "Layers that go to the graphics card; 0 is none.",
    default: "chosen by the backend",
  },
  keep_alive: {
    label: "Keep loaded",
    help: "How long the model stays in memory: 5m, 1h, 0, or -1 for ever.",
    default: "5m",
  },
  use_mmap: { label: "Map into memory", help: "Load the model's file by memory mapping.", default: "on" },
  use_mlock: { label: "Lock in memory", help: "Keep the model out of the swap file.", default: "off" },
  stream_response: { label: "Stream the answer", help: "Show the answer while it is written.", default: "on" },
  stream_delta_chunk_size: {
    label: "Piece size of a stream",
    help: "Joins so many pieces into one, for slow clients.",
    default: "1",
    unit: "pieces",
  },
  function_calling: {
    label: "Function calling",
    help: "Native: the model itself chooses tools.",
    default: "by the prompt",
  },
  reasoning_tags: {
    label: "Reasoning tags",
    help: "Between which marks a model writes down its thoughts.",
    default: "<think> and </think>",
  },
} as const;
