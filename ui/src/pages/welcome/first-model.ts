/** The model with which the playground begins. */

/** What embeds text or ranks it cannot answer; lists do not say which can, their names mostly do. */
const NOT_FOR_CHAT = /embed|rerank|bge-|whisper|tts|dall-e|moderation/i;

export function firstModel(names: readonly string[]): string {
  return names.find((name) => !NOT_FOR_CHAT.test(name)) ?? names[0] ?? "";
}
