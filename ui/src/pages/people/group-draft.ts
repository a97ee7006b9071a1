/** What a form about a group holds. */
import { given, withValue, type PermissionTree } from "./permission";
import type { Group } from "./nesting";

export interface GroupDraft {
  name: string;
  description: string;
  /** Empty: at the top. */
  parentId: string;
  share: boolean;
  permissions: PermissionTree;
}

/** `tree` tells which permissions there are; a new group gives none of them. */
export const blankGroup = (tree: PermissionTree): GroupDraft => ({
  name: "",
  description: "",
  parentId: "",
  share: true,
  permissions: [...given(tree)].reduce((none, path) => withValue(none, path, false), tree),
});

export const groupDraftOf = (group: Group): GroupDraft => ({
  name: group.name,
  description: group.description,
  parentId: group.parent_id ?? "",
  share: group.share,
  permissions: group.permissions ?? {},
});

export const groupSent = (draft: GroupDraft) => ({
  name: draft.name.trim(),
  description: draft.description,
  parent_id: draft.parentId || null,
  share: draft.share,
  permissions: draft.permissions,
});
