/** Reasons of the API, as sentences. */
import type { Schemas } from "$api/client";
import { people } from "$text/people";

type Decision = Schemas["RightDecision"];
type Reason = Schemas["RightReason"];
type Group = Schemas["RightsGroup"];

/** The groups that somebody was put into by which a group further up counts for them, by name. */
export function through(group: Group, groups: readonly Group[]): string[] {
  const parents = new Map(groups.map((one) => [one.id, one.parent_id]));
  const isBelow = (id: string): boolean => {
    // A chain longer than all groups would be a ring.
    let parent = parents.get(id) ?? null;
    for (let step = 0; parent !== null && step <= groups.length; step += 1) {
      if (parent === group.id) return true;
      parent = parents.get(parent) ?? null;
    }
    return false;
  };
  return groups.filter((one) => one.direct && isBelow(one.id)).map((one) => one.name);
}

function because(reason: Reason, groups: readonly Group[]): string {
  const words = people.matrix.reason;
  if (reason.kind !== "group") return words[reason.kind];
  const group = groups.find((one) => one.id === reason.group_id);
  if (!group) return words.unknownGroup;
  const below = group.direct ? [] : through(group, groups);
  return below.length ? words.nested(group.name, below.join(", ")) : words.group(group.name);
}

/** Why: `through Research`, `no role, default or group grants it`. Of a model `none` says it when nothing opens it, and `base` is
 * what was decided about the base model of a preset. */
export function told(
  decision: Decision,
  groups: readonly Group[],
  { base, none = people.matrix.reason.none }: { base?: Decision | null; none?: string } = {},
): string {
  const { baseClosed, reason, and } = people.matrix;
  if (decision.allowed) return and(decision.reasons.map((one) => because(one, groups)));
  if (decision.reasons.some((one) => one.kind === "pending")) return reason.pending;
  // Open by itself and refused all the same: it is the base that is closed.
  return decision.reasons.length && base && !base.allowed ? baseClosed : none;
}

export const gives = (decision: Decision, kind: Reason["kind"], groupId: string | null = null): boolean =>
  decision.reasons.some((one) => one.kind === kind && one.group_id === groupId);
