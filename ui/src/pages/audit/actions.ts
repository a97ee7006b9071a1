/** Every action that the server writes down, by kind: what the filter offers. */
export const ACTIONS: Record<string, readonly string[]> = {
  model: ["created", "updated", "enabled", "disabled", "deleted", "restored", "version_deleted"],
  connection: ["created", "updated", "deleted"],
  user: ["created", "updated", "deleted", "signed_in", "signed_out"],
  group: ["created", "updated", "deleted"],
  key: ["created", "updated", "rotated", "revoked"],
  session: ["ended"],
  settings: ["updated"],
  setup: ["link_made"],
  yard: ["applied", "rolled_back"],
  audit: ["began"],
};
