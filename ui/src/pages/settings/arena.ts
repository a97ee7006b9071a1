/** The arena's entries as forms change them. Pure. */

export interface Arena {
  id: string;
  name: string;
  description: string;
  mode: "all" | "include" | "exclude";
  models: string[];
  access: "administrators" | "everyone" | "chosen";
  groups: string[];
  people: string[];
  /** The entry as it came, with what only other clients know. */
  raw: Record<string, unknown>;
}

type Fields = Record<string, unknown>;
interface Grant {
  principal_type?: string;
  principal_id?: string;
  permission?: string;
}

const fields = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];

export function arenaOf(raw: Fields): Arena {
  const meta = fields(raw.meta);
  const read = fields(fields(meta.access_control).read);
  const given = Array.isArray(meta.access_grants);
  const grants = (given ? meta.access_grants : []) as Grant[];
  const granted = (kind: string) =>
    grants.filter((grant) => grant.principal_type === kind).map((grant) => grant.principal_id ?? "");
  // As the server reads it: grants count when they are there, also without any; else the lists, and null is everyone.
  const everyoneByNull = !given && meta.access_control === null;
  const people = given ? granted("user") : texts(read.user_ids);
  const groups = given ? granted("group") : texts(read.group_ids);
  const everyone = everyoneByNull || people.includes("*");
  const models = texts(meta.model_ids);
  return {
    id: String(raw.id ?? ""),
    name: String(raw.name ?? ""),
    description: typeof meta.description === "string" ? meta.description : "",
    mode: !models.length ? "all" : meta.filter_mode === "exclude" ? "exclude" : "include",
    models,
    access: everyone ? "everyone" : people.length || groups.length ? "chosen" : "administrators",
    groups,
    people: people.filter((id) => id !== "*"),
    raw,
  };
}

/** As it is stored: what this form does not know of the entry stays. */
export function rawOf(arena: Arena): Fields {
  const { access_control: _control, access_grants: _grants, ...meta } = fields(arena.raw.meta);
  const grant = (principal_type: string) => (principal_id: string) => ({
    principal_type,
    principal_id,
    permission: "read",
  });
  const grants =
    arena.access === "everyone"
      ? [grant("user")("*")]
      : arena.access === "chosen"
        ? [...arena.groups.map(grant("group")), ...arena.people.map(grant("user"))]
        : [];
  return {
    ...arena.raw,
    id: arena.id.trim(),
    name: arena.name.trim(),
    meta: {
      ...meta,
      description: arena.description,
      model_ids: arena.mode === "all" ? null : arena.models,
      filter_mode: arena.mode === "all" ? null : arena.mode,
      access_grants: grants,
    },
  };
}
