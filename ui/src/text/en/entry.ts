/** Sign-in, sign-up and the first administrator. */
export const entry = {
  signIn: "Sign in",
  signUp: "Create an account",
  signUpQuestion: "No account yet?",
  signInQuestion: "Have an account?",
  email: "E-mail",
  password: "Password",
  name: "Name",
  passwordHelp: "At least 8 characters.",
  waiting: "Your account is waiting for approval. Sign in again once an administrator has approved it.",
  setUpTitle: "Create the administrator",
  setUpText: "This account can do everything. The link that brought you here works once.",
  create: "Create administrator",
  alreadySetUp: "There is an administrator already. This link has been used.",
  noToken: "This link is not complete. Open the whole link that the terminal printed.",
  needsSetUp:
    "There is no administrator yet. Open the setup link that the terminal printed at start. A restart prints a new one.",
};
