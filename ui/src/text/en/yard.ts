/** The installation as a document. */
import { exact } from "$parts/numbers";
import { plural } from "./plural";

const names: Record<string, [one: string, many: string]> = {
  setting: ["setting", "settings"],
  group: ["group", "groups"],
  connection: ["connection", "connections"],
  user: ["account", "accounts"],
  key: ["key", "keys"],
  model: ["model", "models"],
};

export const yard = {
  title: "As code",
  subtitle: "The whole configuration as one YAML document",
  views: "Views",
  tabs: { now: "Current state", change: "Plan and apply", revisions: "Revisions", moving: "Migrate" },
  now: {
    text: "Everything configured here. Secrets are references; what is declared by the environment or a file is left out.",
    label: "The current state as YAML",
    download: "Download",
    edit: "Edit and plan",
    truncated: (shown: string, whole: string) =>
      `The first ${shown} of ${whole} characters. Download the document to see all.`,
  },
  change: {
    text: "Paste a yard.yaml, drop the file here, or start with the current state. Nothing changes until you apply a plan.",
    label: "Document",
    placeholder: "models:\n  - id: reviewer\n    name: Code reviewer",
    begin: "Start with the current state",
    choose: "Choose a file",
    clear: "Clear",
    mode: "What happens to objects that are not in the document",
    add: "Add and change only",
    addHelp: "Nothing is deleted.",
    match: "Match the document exactly",
    matchHelp: "Deletes whatever a section of the document does not name. Sections that are left out stay as they are.",
    secrets: "Secrets",
    secretsHelp:
      "Values for the references in this document. Leave a value empty to keep the secret that is stored. Values are sent once and not kept in this page.",
    plan: "Plan",
    apply: "Apply this plan",
    fault: "Nothing was changed. Your document is still here.",
    toLine: (line: number) => `Go to line ${line}`,
    stale: "The document has changed since this plan. Plan again to apply it.",
    tooLarge: "The file is larger than 2 MiB. Apply it with the command line: modelyard apply yard.yaml",
    replaced: "Replaced the document",
    applied: (revision: number) => `Applied as revision ${revision}`,
    nothingApplied: "Nothing to do",
    toRevisions: "Show revisions",
  },
  plan: {
    title: "Plan",
    nothing: "Nothing to do. Everything is already as in the document.",
    counts: (create: number, update: number, gone: number) =>
      `${exact(create)} to create, ${exact(update)} to change, ${exact(gone)} to delete`,
    actions: { create: "Create", update: "Change", delete: "Delete" },
    nouns: {
      setting: "Settings",
      group: "Groups",
      connection: "Connections",
      user: "People",
      key: "Keys",
      model: "Models",
    } as Record<string, string>,
    notes: "Notes",
  },
  deletion: {
    objects: (gone: [noun: string, count: number][]) =>
      gone.map(([noun, count]) => plural(count, ...(names[noun] ?? [noun, noun]))).join(", "),
    /** At the top of a plan that is not applied yet. */
    told: (objects: string) => `This deletes ${objects}.`,
    why: "Anything the document does not name is deleted. To keep it, choose “Add and change only” and plan again.",
    title: (objects: string) => `Delete ${objects}?`,
    back: "You can roll back under Revisions.",
    lossy:
      "Rolling back does not restore secrets: people need a new password, keys a new secret, and connections their API keys.",
    word: "delete",
    apply: "Apply and delete",
    rollBack: "Roll back and delete",
  },
  revisions: {
    text: "Every applied document and the state before it. The newest 200 are kept.",
    empty: "No revisions yet",
    emptyText: "Applying a plan keeps the state before it and the state after it here.",
    number: "Revision",
    what: "What",
    changes: "Changes",
    who: "Who",
    when: "When",
    rollBackTo: (id: number) => `Roll back to revision ${id}`,
    messages: { applied: "Applied" } as Record<string, string>,
    before: (id?: number) => (id === undefined ? "State before" : `State before revision ${id}`),
    rolledBackTo: (id: string) => `Rolled back to revision ${id}`,
    document: (id: number) => `Revision ${id}`,
    planTitle: "What rolling back would do",
    look: "Show what rolling back would do",
    done: (id: number) => `Rolled back as revision ${id}`,
    secretsHelp: "Only needed for connections that were deleted since, or whose address has changed.",
  },
  moving: {
    text: "Import the configuration of another system on the command line. `--dry-run` shows the plan first. An import deletes nothing and can be rolled back under Revisions.",
    from: {
      openWebUI: {
        name: "Open WebUI",
        text: "Its exported models, or its whole database with accounts, groups and connections. Stop it first, or use a copy of the database.",
        command:
          "modelyard import open-webui models-export.json --dry-run\nmodelyard import open-webui /path/to/webui.db --dry-run",
      },
      liteLLM: {
        name: "LiteLLM",
        text: "Deployments become connections and models. Set the variables that the file takes its secrets from.",
        command: "OPENAI_API_KEY=... modelyard import litellm config.yaml --dry-run",
      },
      localAI: {
        name: "LocalAI",
        text: "One YAML file, or a folder of them. LocalAI itself keeps working as before.",
        command: "modelyard import localai ./models --base-url http://127.0.0.1:8080 --dry-run",
      },
      modelfile: {
        name: "Modelfile",
        text: "`PARAMETER` and `SYSTEM` lines become those of a preset.",
        command: "modelyard import modelfile Modelfile.mario --dry-run",
      },
    },
    inBrowser: "Exported models and Modelfiles can also be imported here:",
    inBrowserLink: "Models, Import",
    then: "When the plan is right, run it again without `--dry-run`. Then test the connections and set passwords:",
    thenLabel: "After an import",
    thenCommand: "modelyard connections test\nmodelyard users password ann@example.com",
  },
};
