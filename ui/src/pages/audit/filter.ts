/** The filters of the log, in the page's address under the API's own names. */

export const NAMES = ["entity_type", "action", "user_id", "entity_id", "from", "to"] as const;
export type Name = (typeof NAMES)[number];
export type Chosen = Record<Name, string>;

/** What the list and the export take. */
export interface Asked {
  entity_type?: string;
  action?: string;
  user_id?: string;
  entity_id?: string;
  from?: string;
  to?: string;
}

/** The whole of both days counts, in the reader's zone. A date that is none is no filter. */
export function asked(chosen: Chosen): Asked {
  const from = midnight(chosen.from, 0);
  const to = midnight(chosen.to, 1);
  return {
    ...(chosen.entity_type && { entity_type: chosen.entity_type }),
    ...(chosen.action && { action: chosen.action }),
    ...(chosen.user_id && { user_id: chosen.user_id }),
    ...(chosen.entity_id && { entity_id: chosen.entity_id }),
    ...(from !== null && { from: String(from) }),
    ...(to !== null && { to: String(to) }),
  };
}

/** Unix seconds of the beginning of a day such as `2026-11-01`, some days later; null for what is no day. */
export function midnight(day: string, later: number): number | null {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day);
  if (!found) return null;
  const [year, month, date] = [Number(found[1]), Number(found[2]), Number(found[3])];
  const moment = new Date(year, month - 1, date);
  const exists = moment.getFullYear() === year && moment.getMonth() === month - 1 && moment.getDate() === date;
  if (!exists) return null;
  moment.setDate(date + later);
  return Math.floor(moment.getTime() / 1000);
}
