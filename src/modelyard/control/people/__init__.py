"""People: users, sign-in, sessions, and the groups they are in."""
