/** The installation as a document. */
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
  views: "Views",
  tabs: { now: "Current state", change: "Plan and apply", revisions: "Revisions", moving: "Moving in" },
  now: {
    text: "Everything that people configured here, as one document. Secrets are references; what the environment or a file declares is left out.",
    label: "The current state as YAML",
    download: "Download",
    edit: "Edit and plan",
    truncated: (shown: string, whole: string) =>
      `The first ${shown} of ${whole} characters are shown. Download has all.`,
  },
  change: {
    text: "Paste a yard.yaml, drop the file here, or begin with the current state. Nothing changes before you apply a plan.",
    label: "Document",
    placeholder: "models:\n  - id: reviewer\n    name: Code reviewer",
    begin: "Begin with the current state",
    choose: "Choose a file",
    clear: "Empty it",
    keep: "Delete nothing",
    keepHelp:
      "For a file that adds to what is there. Otherwise a section of the document is complete: what it does not name goes.",
    secrets: "Secrets",
    secretsHelp:
      "Values for the references in this document. Leave those empty that an export gave for a connection that is still there. They are sent once and kept nowhere in this page.",
    plan: "Plan",
    apply: "Apply this plan",
    fault: "Nothing was changed. What you typed is still here.",
    toLine: (line: number) => `Go to line ${line}`,
    stale: "The document was changed after this plan. Plan again to apply it.",
    tooLarge: "The file is larger than 2 MiB. Apply it with the command line: modelyard apply yard.yaml",
    replaced: "The document was replaced.",
    applied: (revision: number) => `Applied as revision ${revision}.`,
    nothingApplied: "There was nothing to do.",
    toRevisions: "Show the revisions",
  },
  plan: {
    title: "Plan",
    nothing: "Nothing to do: the document says what there is.",
    counts: (create: number, update: number, gone: number) =>
      `${create} to create, ${update} to change, ${gone} to delete`,
    actions: { create: "Create", update: "Change", delete: "Delete" },
    nouns: {
      setting: "Settings",
      group: "Groups",
      connection: "Connections",
      user: "People",
      key: "Keys",
      model: "Models",
    } as Record<string, string>,
    notes: "Take note",
  },
  deletion: {
    objects: (gone: [noun: string, count: number][]) =>
      gone.map(([noun, count]) => `${count.toLocaleString()} ${names[noun]?.[count === 1 ? 0 : 1] ?? noun}`).join(", "),
    /** At the top of a plan that is not applied yet. */
    told: (objects: string) => `This deletes ${objects}.`,
    why: "A section of the document is complete: what it does not name goes. If this document only adds to what is there, choose “Delete nothing” and plan again.",
    title: (objects: string) => `Delete ${objects}?`,
    back: "The state before is kept under Revisions, and you can go back to it.",
    lossy:
      "Going back does not restore everything: people need a new password, keys a new secret, and the secrets of connections have to be given again.",
    word: "delete",
    apply: "Apply and delete",
    rollBack: "Roll back and delete",
  },
  revisions: {
    text: "States that were applied, and those before. The newest 200 are kept.",
    empty: "No revisions yet",
    emptyText: "The first plan that you apply keeps the state before it and the one after it here.",
    number: "Revision",
    what: "What",
    changes: "Changes",
    who: "Who",
    when: "When",
    size: "Characters",
    view: "View",
    rollBack: "Roll back",
    rollBackTo: (id: number) => `Roll back to revision ${id}`,
    messages: { applied: "Applied" } as Record<string, string>,
    before: (what: string) => `Before: ${what}`,
    rolledBackTo: (id: string) => `Rolled back to ${id}`,
    document: (id: number) => `Revision ${id}`,
    planTitle: "What rolling back would do",
    look: "Show what rolling back would do",
    done: (id: number) => `Rolled back. That is revision ${id}.`,
    secretsHelp: "Only needed for connections that were removed meanwhile, or whose address is another one now.",
  },
  moving: {
    text: "Modelyard takes over what other systems have configured, on the command line. Each import shows its plan with --dry-run first, is one transaction, deletes nothing, and can be undone under Revisions.",
    from: {
      openWebUI: {
        name: "Open WebUI",
        text: "The export of its models, or its whole database with accounts, groups and connections. Stop it first, or copy the database.",
        command:
          "modelyard import open-webui models-export.json --dry-run\nmodelyard import open-webui /path/to/webui.db --dry-run",
      },
      liteLLM: {
        name: "LiteLLM",
        text: "Deployments become connections and models. Set the variables that its file takes secrets from.",
        command: "OPENAI_API_KEY=... modelyard import litellm config.yaml --dry-run",
      },
      localAI: {
        name: "LocalAI",
        text: "One YAML file, or the folder of them. LocalAI goes on reading its own files.",
        command: "modelyard import localai ./models --base-url http://127.0.0.1:8080 --dry-run",
      },
      modelfile: {
        name: "Modelfile",
        text: "Parameters and SYSTEM become those of a preset.",
        command: "modelyard import modelfile Modelfile.reviewer --dry-run",
      },
    },
    inBrowser: "Exports of models and Modelfiles can also be taken in here:",
    inBrowserLink: "Models, Import",
    then: "Run it again without --dry-run when the plan is right. Then test the connections and set passwords:",
    thenCommand: "modelyard connections test\nmodelyard users password user@example.com",
  },
};
