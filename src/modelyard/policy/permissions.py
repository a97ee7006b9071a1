"""What an approved user may do beside calling models: a closed tree of permissions with defaults.

Paths, defaults and the names of their environment variables are those that clients of Open WebUI's API know.
The defaults can be changed; a group adds permissions to its members and never takes one away. Administrators have all.
"""

from collections.abc import Collection, Iterable, Mapping

from modelyard.core.errors import Kind, Problem

ENVIRONMENT_PREFIX = "USER_PERMISSIONS_"

# Path -> (default, its name in the environment behind the prefix).
PERMISSIONS: Mapping[str, tuple[bool, str]] = {
    **{f"workspace.{noun}": (False, f"WORKSPACE_{noun.upper()}_ACCESS") for noun in
       ("models", "knowledge", "prompts", "tools")},
    **{f"workspace.{noun}_{act}": (False, f"WORKSPACE_{noun.upper()}_{act.upper()}") for noun in
       ("models", "prompts", "tools") for act in ("import", "export")},
    **{f"sharing.{noun}": (False, f"WORKSPACE_{noun.upper()}_ALLOW_SHARING") for noun in
       ("models", "knowledge", "prompts", "tools")},
    **{f"sharing.public_{noun}": (False, f"WORKSPACE_{noun.upper()}_ALLOW_PUBLIC_SHARING") for noun in
       ("models", "knowledge", "prompts", "tools")},
    "sharing.notes": (False, "NOTES_ALLOW_SHARING"),
    "sharing.public_notes": (False, "NOTES_ALLOW_PUBLIC_SHARING"),
    "access_grants.allow_users": (True, "ACCESS_GRANTS_ALLOW_USERS"),
    "access_grants.allow_groups": (True, "ACCESS_GRANTS_ALLOW_GROUPS"),
    **{f"chat.{name}": (True, f"CHAT_{name.upper()}") for name in
       ("controls", "valves", "system_prompt", "params", "file_upload", "delete", "delete_message", "continue_response",
        "regenerate_response", "rate_response", "edit", "share", "export", "stt", "tts", "call", "multiple_models",
        "temporary")},
    "chat.temporary_enforced": (False, "CHAT_TEMPORARY_ENFORCED"),
    **{f"features.{name}": (False, f"FEATURES_{name.upper()}") for name in ("api_keys", "direct_tool_servers")},
    **{f"features.{name}": (True, f"FEATURES_{name.upper()}") for name in
       ("notes", "folders", "channels", "web_search", "image_generation", "code_interpreter")},
}  # fmt: skip

ALL = frozenset(PERMISSIONS)

# What clients that speak to newer systems send along with these: they govern nothing here.
UNKNOWN_HERE = frozenset({
    *(f"workspace.{name}" for name in ("skills", "skills_import", "skills_export", "models_hidden")),
    *(f"sharing.{name}" for name in
      ("skills", "public_skills", "folders", "public_chats", "open_chats", "public_calendars")),
    *(f"chat.{name}" for name in ("web_upload", "import")),
    *(f"features.{name}" for name in ("encrypted_channels", "memories", "automations", "calendar", "webhooks")),
    "settings.interface",
})  # fmt: skip

WORKSPACE_MODELS = "workspace.models"
IMPORT_MODELS = "workspace.models_import"
EXPORT_MODELS = "workspace.models_export"
SHARE_MODELS = "sharing.models"
SHARE_MODELS_WITH_ALL = "sharing.public_models"
GRANT_TO_USERS = "access_grants.allow_users"
GRANT_TO_GROUPS = "access_grants.allow_groups"
API_KEYS = "features.api_keys"


def defaults(changed: Mapping[str, bool]) -> frozenset[str]:
    """The paths that everybody has, with some of the defaults changed."""
    return frozenset(path for path, (default, _) in PERMISSIONS.items() if changed.get(path, default))


def granted(by_default: frozenset[str], groups: Iterable[Mapping[str, bool]]) -> frozenset[str]:
    """The paths that a user has: the defaults and what any of their groups adds."""
    return by_default.union(path for group in groups for path, given in group.items() if given and path in ALL)


def tree(paths: Collection[str]) -> dict[str, dict[str, bool]]:
    """All paths as the nested object that the API shows: `{"workspace": {"models": true, ...}, ...}`."""
    shown: dict[str, dict[str, bool]] = {}
    for path in PERMISSIONS:
        section, _, name = path.partition(".")
        shown.setdefault(section, {})[name] = path in paths
    return shown


def flat(given: Mapping[str, object], *, ignored: Collection[str] = ()) -> dict[str, bool]:
    """A nested object of permissions as path to value, without the `ignored` paths. Raises Problem MALFORMED for any other
    name, and a value, that is none."""
    found: dict[str, bool] = {}
    for section, names in given.items():
        if not isinstance(names, Mapping):
            raise _malformed(str(section))
        for name, value in names.items():
            path = f"{section}.{name}"
            if path in ignored:
                continue
            if path not in PERMISSIONS or not isinstance(value, bool):
                raise _malformed(path)
            found[path] = value
    return found


def from_environment(environment: Mapping[str, str]) -> dict[str, bool]:
    """The defaults that the environment changes. Raises ValueError that names the variable."""
    changed = {}
    for path, (_, suffix) in PERMISSIONS.items():
        value = environment.get(ENVIRONMENT_PREFIX + suffix)
        if value is not None:
            if value.lower() not in ("true", "false"):
                raise ValueError(f"{ENVIRONMENT_PREFIX}{suffix} must be true or false")
            changed[path] = value.lower() == "true"
    return changed


def _malformed(path: str) -> Problem:
    return Problem(
        Kind.MALFORMED,
        f"permissions: {path[:100]!r} is not a permission with a value of true or false.",
        param="permissions",
    )
