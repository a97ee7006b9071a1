"""The settings that are stored, by name. Their first values come from the environment; a stored one wins."""

from collections.abc import Mapping
from typing import Any

from modelyard.policy import arena, routing

PERMISSIONS = "permissions"  # {path: bool}: the defaults of `policy.permissions` that were changed
DEFAULT_MODELS = "models.default"  # [model id]
PINNED_MODELS = "models.pinned"  # [model id]
MODEL_ORDER = "models.order"  # [model id]
FALLBACKS = routing.FALLBACKS  # {model id, or "*" for all others: [model id]}
ARENA_ENABLED = arena.ENABLED  # bool
# [{id, name, meta: {description?, profile_image_url?, model_ids?, filter_mode?, access_control?}}]
ARENA_MODELS = arena.MODELS
DIRECT_CONNECTIONS = "connections.direct"  # bool: told to clients, which may connect to a backend by themselves
BASE_MODELS_CACHE = "connections.base_models_cache"  # bool: kept for clients; lists are always served from memory
SIGN_UP_ENABLED = "sign_up.enabled"  # bool
SIGN_UP_ROLE = "sign_up.role"  # pending or user
SIGN_UP_GROUP = "sign_up.group"  # group id or None

INITIAL: Mapping[str, Any] = {
    PERMISSIONS: {},
    DEFAULT_MODELS: [],
    PINNED_MODELS: [],
    MODEL_ORDER: [],
    FALLBACKS: {},
    ARENA_ENABLED: False,
    ARENA_MODELS: [],
    DIRECT_CONNECTIONS: False,
    BASE_MODELS_CACHE: False,
    SIGN_UP_ENABLED: False,
    SIGN_UP_ROLE: "pending",
    SIGN_UP_GROUP: None,
}
