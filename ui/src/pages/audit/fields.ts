/** What the fields of every kind of object are called, and their values: in the log and in a plan. A document has names where
 * the log has ids, so that some fields are here twice. */
import { fieldName as modelField } from "$pages/editor/field-names";
import { sentence } from "$pages/people/permission";
import { exact } from "$parts/age";
import { isEmpty, type Change } from "$parts/changes";
import { accessWords } from "$text/access";
import { audit } from "$text/audit";
import { connections } from "$text/connections";
import { keys } from "$text/keys";
import { people } from "$text/people";
import type { Entry, Names } from "./objects";

const words = audit.fields;
const { fields, sections } = connections;
const within = (place: string) => (part: string) => words.within(place, part);
const timeout = within(sections.timeouts);
const limit = within(sections.limits);

/** By kind and path. */
const fixed: Record<string, Record<string, string>> = {
  model: { user_id: words.owner, owner: words.owner, profile_image: words.picture, version: words.version },
  connection: {
    name: fields.name,
    kind: fields.kind,
    flavour: words.product,
    base_url: fields.address,
    api_keys: fields.keys,
    enable: fields.enabled,
    prefix_id: fields.prefix,
    model_ids: fields.modelIds,
    tags: fields.tags,
    connection_type: fields.place,
    priority: fields.priority,
    weight: fields.weight,
    timeouts: sections.timeouts,
    "timeouts.connect": timeout(fields.connect),
    "timeouts.first_byte": timeout(fields.firstByte),
    "timeouts.idle": timeout(fields.idle),
    limits: sections.limits,
    "limits.rpm": limit(fields.rpm),
    "limits.tpm": limit(fields.tpm),
    "limits.concurrency": limit(fields.concurrency),
    headers: sections.headers,
    tls: sections.tls,
    "tls.verify": fields.verify,
    "tls.ca_file": fields.caFile,
    "tls.client_cert": fields.clientCert,
    loads: fields.loads,
  },
  user: {
    name: people.name,
    email: people.email,
    role: people.role,
    kind: people.kind,
    group_ids: people.groups,
    groups: people.groups,
    password: people.password,
  },
  group: {
    name: people.group.name,
    description: people.group.description,
    parent_id: people.group.parent,
    parent: people.group.parent,
    permissions: people.group.permissions,
    share: people.group.share,
    user_ids: people.group.members,
  },
  key: {
    name: keys.name,
    user_id: keys.owner,
    user: keys.owner,
    models: keys.models,
    dialects: keys.dialects,
    rpm: keys.rpm,
    tpm: keys.tpm,
    concurrency: keys.concurrency,
    limits: keys.limits,
    "limits.rpm": keys.rpm,
    "limits.tpm": keys.tpm,
    "limits.concurrency": keys.concurrency,
    expires_at: keys.expiry,
    hint: keys.hint,
    replaced_by: words.replacedBy,
  },
  session: { user_id: words.person },
};

/** A field may be called anything, `toString` too. */
const nameOf = (kind: string, path: string): string | undefined => {
  const names = fixed[kind] ?? {};
  return Object.hasOwn(names, path) ? names[path] : undefined;
};

/** The name of a field of this entry, by its path in the changes; the path itself when it is unheard of. */
export function fieldName(entry: Pick<Entry, "entity_type" | "entity_id">, path: string): string {
  const { entity_type: kind, entity_id: id } = entry;
  const known = nameOf(kind, path);
  if (known) return known;
  if (kind === "model") return modelField(path);
  const [first = "", ...rest] = path.split(".");
  const inner = rest.join(".");
  if (kind === "settings" && first === "value") {
    if (!inner) return audit.settings[id] ?? words.value;
    return id === "permissions" ? sentence(inner) : inner;
  }
  if (kind === "group" && first === "permissions") return sentence(inner);
  const place = nameOf(kind, first);
  return place && inner ? words.within(place, inner) : path;
}

type Show = (value: unknown, names: Names) => unknown;

const named =
  (kind: string): Show =>
  (value, names) => {
    const one = (id: unknown) => (typeof id === "string" ? (names[kind]?.get(id) ?? audit.actors[id] ?? id) : id);
    return Array.isArray(value) ? value.map(one) : one(value);
  };
const among =
  (known: Record<string, string>): Show =>
  (value) =>
    typeof value === "string" ? (known[value] ?? value) : value;
const moment: Show = (value) => (typeof value === "number" ? exact(value) : value);

/** Who may use and change a model, one line for each. */
const access: Show = (value, names) => {
  if (value === null) return accessWords.public;
  if (typeof value !== "object") return value;
  if (isEmpty(value)) return accessWords.private;
  const lists = value as Record<string, { group_ids?: string[]; user_ids?: string[] } | undefined>;
  const lines = (["read", "write"] as const).flatMap((right) => {
    const { group_ids: groups = [], user_ids: users = [] } = lists[right] ?? {};
    const everyone = users.includes("*") ? [accessWords.public] : [];
    const rest = users.filter((id) => id !== "*").map((id) => names.user?.get(id) ?? id);
    return [...everyone, ...groups.map((id) => names.group?.get(id) ?? id), ...rest].map((who) =>
      words.within(accessWords[right], who),
    );
  });
  return lines.join("\n");
};

const values: Record<string, Record<string, Show>> = {
  model: { user_id: named("user"), base_model_id: named("model"), access_control: access },
  connection: { flavour: among(connections.kinds) },
  user: { role: among(people.roles), kind: among(people.kinds), group_ids: named("group") },
  group: { parent_id: named("group"), user_ids: named("user") },
  key: { user_id: named("user"), expires_at: moment, replaced_by: named("key") },
  session: { user_id: named("user") },
};

/** A value as people know it: names for ids. */
export function fieldValue(kind: string, path: string, value: unknown, names: Names): unknown {
  const show = values[kind]?.[path];
  return show && value !== undefined ? show(value, names) : value;
}

/** Without those that set nothing: of a new object they say no more than that it has no such thing. */
export const told = (changes: readonly Change[]): Change[] =>
  changes.filter(({ field, old, new: now }) => field === "access_control" || !isEmpty(old) || !isEmpty(now));
