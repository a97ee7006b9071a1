/** Who may read and write something. */
import { plural } from "./plural";

export const accessWords = {
  label: "Who may use it",
  private: "Private",
  privateHelp: "Its owner and administrators.",
  public: "Public",
  publicHelp: "Everyone who can sign in or has a key.",
  chosen: "Chosen",
  chosenHelp: "The people and groups below.",
  mayNotShare: "You may not share models. An administrator can give you the permission.",
  mayNotPublish: "You may not share with everyone.",
  addPerson: "Add a person",
  addGroup: "Add a group",
  person: "Person",
  group: "Group",
  members: (count: number) => plural(count, "member", "members"),
  read: "Can use",
  write: "Can use and change",
  right: (name: string) => `Right of ${name}`,
  remove: (name: string) => `Remove ${name}`,
  nobody: "Nobody is chosen yet, so only its owner and administrators can use it.",
  also: "These may change it as well:",
  list: "People and groups",
};
