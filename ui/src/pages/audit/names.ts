/** Names of what entries are about, from the lists of each kind. A list that cannot be had leaves its ids as they are. */
import { createQuery } from "@tanstack/svelte-query";
import { allConnections, allGroups, allKeys, callableModels, everybody } from "$api/directory";
import { audit } from "$text/audit";
import type { Names } from "./objects";

const map = <T>(items: readonly T[] | undefined, id: (item: T) => string, name: (item: T) => string) =>
  items && new Map(items.map((item) => [id(item), name(item)]));

/** Must be called while a component is made. The names are known once the lists have come; that of all models, which can be
 * long, is asked for when one of them has to be named. */
export function createNames(models: () => boolean): () => Names {
  const people = createQuery(everybody);
  const connections = createQuery(allConnections);
  const groups = createQuery(allGroups);
  const keys = createQuery(allKeys);
  const callable = createQuery(() => ({ ...callableModels(), enabled: models() }));
  return () => ({
    user: map(
      people.data?.items,
      (person) => person.id,
      (person) => person.name || person.email,
    ),
    connection: map(
      connections.data?.items,
      (connection) => connection.id,
      (connection) => connection.name,
    ),
    group: map(
      groups.data,
      (group) => group.id,
      (group) => group.name,
    ),
    key: map(
      keys.data?.items,
      (key) => key.id,
      (key) => key.name,
    ),
    model: map(
      callable.data,
      (model) => model.id,
      (model) => model.name,
    ),
    settings: new Map(Object.entries(audit.settings)),
  });
}
