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
  waiting: "Your account waits for an administrator. Sign in again when they have let you in.",
  setUpTitle: "Create the administrator",
  setUpText: "The link that brought you here works once. This account can do everything.",
  create: "Create administrator",
  alreadySetUp: "There is an administrator already, so this link is used up.",
  noToken: "This address lacks its token. Open the whole link that the terminal printed.",
  needsSetUp: "There is no administrator yet. Open the setup link that the terminal printed at start.",
};
