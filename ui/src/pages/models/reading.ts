/** What is in a file that somebody wants to import: told before anything is sent. */
import { megabytes } from "$parts/numbers";
import { sameGrants, type Grant } from "$parts/access";
import { models } from "$text/models";
import { hasBlank } from "$pages/editor/naming";
import type { Row } from "./subject";

const text = models.importing.faults;

export const MOST_BYTES = 20 * 1024 * 1024;
const MOST_MODELFILE_BYTES = 4 * 1024 * 1024;
const MOST_ITEMS = 20_000;
const MOST_LETTERS = 256;

export interface Item {
  /** From 0, in the file. */
  place: number;
  id: string | null;
  name: string | null;
  base: string | null;
  /** Why it cannot be read; null when it can. */
  fault: string | null;
  /** As it stands in the file, to be sent. */
  value: unknown;
}

export type Content =
  | { kind: "models"; items: Item[] }
  | { kind: "modelfile"; content: string; id: string; from: string; fromIsFile: boolean };

/** The file is none that can be imported. The message says why. */
export class Unreadable extends Error {}

/** Reads the bytes of a file called `name`. Raises Unreadable. */
export function read(name: string, bytes: Uint8Array): Content {
  if (bytes.length > MOST_BYTES) throw new Unreadable(text.tooLarge(megabytes(bytes.length)));
  const content = decoded(bytes).trim();
  if (!content) throw new Unreadable(text.empty);
  if (content.startsWith("[") || content.startsWith("{")) return { kind: "models", items: itemsOf(parsed(content)) };
  const from = /^[ \t]*FROM[ \t]+(\S.*)$/im.exec(content)?.[1]?.trim();
  if (from === undefined) throw new Unreadable(/modelfile/i.test(name) ? models.importing.noFrom : text.wrongShape);
  if (bytes.length > MOST_MODELFILE_BYTES) throw new Unreadable(text.tooLargeModelfile);
  return {
    kind: "modelfile",
    content,
    id: idFor(name),
    from,
    fromIsFile: /^[./~\\]|[\\]|\.gguf$|sha256[-:]/i.test(from),
  };
}

function decoded(bytes: Uint8Array): string {
  let content: string;
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Unreadable(text.notText);
  }
  if (content.includes("\0")) throw new Unreadable(text.notText);
  return content;
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content) as unknown;
  } catch (error) {
    const closing = content.startsWith("[") ? "]" : "}";
    if (!content.endsWith(closing)) throw new Unreadable(text.truncated);
    throw new Unreadable(text.notJson(error instanceof Error ? error.message : ""));
  }
}

function itemsOf(value: unknown): Item[] {
  const list = isObject(value) ? value.models : value;
  if (!Array.isArray(list)) throw new Unreadable(text.wrongShape);
  if (!list.length) throw new Unreadable(text.noModels);
  if (list.length > MOST_ITEMS) throw new Unreadable(text.tooMany(list.length));
  const seen = new Set<string>();
  return (list as unknown[]).map((one, place) => {
    const item = itemOf(one, place);
    if (item.id === null || item.fault !== null) return item;
    if (seen.has(item.id)) return { ...item, fault: text.twice };
    seen.add(item.id);
    return item;
  });
}

function itemOf(value: unknown, place: number): Item {
  if (!isObject(value)) return { place, id: null, name: null, base: null, fault: text.notObject, value };
  const row = rowOf(value);
  const word = (field: unknown) => (typeof field === "string" && field.trim() ? field : null);
  const id = word(row.id);
  const name = word(row.name);
  return { place, id, name, base: word(row.base_model_id), fault: faultOf(row, id, name), value };
}

/** An entry of a merged list holds its row as `info`. */
function rowOf(value: Record<string, unknown>): Record<string, unknown> {
  return isObject(value.info) && !("meta" in value) ? { ...value, ...value.info } : value;
}

function faultOf(row: Record<string, unknown>, id: string | null, name: string | null): string | null {
  if (id === null) return text.noId;
  if ([...id].length > MOST_LETTERS) return text.longId;
  if (name === null) return text.noName;
  if ([...name].length > MOST_LETTERS) return text.longName;
  const isOdd = (part: unknown) => part !== undefined && !isObject(part);
  return isOdd(row.params) || isOdd(row.meta) ? text.oddParts : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An id that the file's name suggests: `Mario.Modelfile` is `mario`; nothing for a plain `Modelfile`. */
function idFor(name: string): string {
  const stem = name.replace(/\.(modelfile|txt|md)$/i, "").replace(/^modelfile[.-]?/i, "");
  return stem
    .toLowerCase()
    .replace(/[^\p{L}\p{N}._:-]+/gu, "-")
    .replace(/^-+|-+$/g, "");
}

/** What would happen to an item, by what is known of the ids that are there. */
type Outlook = "new" | "existing" | "same" | "declared" | "foreign" | "unreadable";

/** A row as the server has it. */
export type KnownRow = Pick<
  Row,
  "id" | "write_access" | "source" | "meta" | "access_control" | "access_grants" | Compared
>;

const COMPARED = ["name", "base_model_id", "is_active", "params"] as const;
type Compared = (typeof COMPARED)[number];

/** Items with what only shows beside the rows that are there: an id with white space is not for a new preset. */
export function checked(items: readonly Item[], known: ReadonlyMap<string, KnownRow>): Item[] {
  return items.map((item) =>
    item.fault === null && item.id !== null && item.base !== null && hasBlank(item.id) && !known.has(item.id)
      ? { ...item, fault: text.blankId }
      : item,
  );
}

export function outlook(item: Item, known: ReadonlyMap<string, KnownRow>): Outlook {
  if (item.fault !== null || item.id === null) return "unreadable";
  const row = known.get(item.id);
  if (!row) return "new";
  if (row.source === "file") return "declared";
  if (!row.write_access) return "foreign";
  return isSame(item.value, row) ? "same" : "existing";
}

/** The import would change nothing: what the file says of a row is what it holds already. */
function isSame(value: unknown, row: KnownRow): boolean {
  if (!isObject(value)) return false;
  const given = rowOf(value);
  if (COMPARED.some((field) => given[field] !== undefined && !isEqual(given[field], row[field]))) return false;
  // The import lays `meta` over what is there.
  if (isObject(given.meta) && Object.entries(given.meta).some(([name, one]) => !isEqual(one, row.meta[name])))
    return false;
  const control = given.access_control;
  if (control !== undefined && !isEqual(ordered(control), ordered(row.access_control))) return false;
  const grants = given.access_grants;
  return grants === undefined || (Array.isArray(grants) && sameGrants(grants as Grant[], row.access_grants));
}

/** Lists of ids in one order: access lists them in none. */
function ordered(control: unknown): unknown {
  if (Array.isArray(control)) return (control as unknown[]).map(String).sort();
  if (!isObject(control)) return control;
  return Object.fromEntries(Object.entries(control).map(([name, one]) => [name, ordered(one)]));
}

function isEqual(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((part, place) => isEqual(part, other[place]));
  if (!isObject(one) || !isObject(other)) return one === other;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isEqual(one[name], other[name]))
  );
}

/** Ids of items that bring a picture: lists do not hold the pictures themselves, so these rows are asked for whole. */
export function pictured(items: readonly Item[]): string[] {
  return items.flatMap(({ id, value }) => {
    const meta = isObject(value) ? rowOf(value).meta : undefined;
    const picture = isObject(meta) ? meta.profile_image_url : undefined;
    return id !== null && typeof picture === "string" && picture.startsWith("data:") ? [id] : [];
  });
}
