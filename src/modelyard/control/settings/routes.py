"""`/api/v1/configs`, `/api/v1/evaluations/config`: administrators only. `/api/v1/config`: any approved user."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from modelyard import __version__
from modelyard.control.context import Administrator, Caller, Context
from modelyard.control.settings import service, table
from modelyard.control.settings.schemas import (
    ArenaSettings,
    ArenaSettingsForm,
    ClientConfig,
    ConnectionSettings,
    ConnectionSettingsForm,
    ModelSettings,
    ModelSettingsForm,
)
from modelyard.policy.access import in_scope, may_use, named
from modelyard.policy.permissions import tree

routes = APIRouter(tags=["settings"])

# What clients call each setting.
MODELS = {
    "DEFAULT_MODELS": table.DEFAULT_MODELS,
    "DEFAULT_PINNED_MODELS": table.PINNED_MODELS,
    "MODEL_ORDER_LIST": table.MODEL_ORDER,
    "MODEL_FALLBACKS": table.FALLBACKS,
}
CONNECTIONS = {
    "ENABLE_DIRECT_CONNECTIONS": table.DIRECT_CONNECTIONS,
    "ENABLE_BASE_MODELS_CACHE": table.BASE_MODELS_CACHE,
}
ARENA = {
    "ENABLE_EVALUATION_ARENA_MODELS": table.ARENA_ENABLED,
    "EVALUATION_ARENA_MODELS": table.ARENA_MODELS,
}


@routes.get("/configs/models")
async def model_settings(context: Administrator) -> ModelSettings:
    """Default, pinned and ordered models, and what is tried after which."""
    in_force = _in_force(context)
    return ModelSettings(
        DEFAULT_MODELS=_joined(in_force[table.DEFAULT_MODELS]),
        DEFAULT_PINNED_MODELS=_joined(in_force[table.PINNED_MODELS]),
        MODEL_ORDER_LIST=in_force[table.MODEL_ORDER],
        MODEL_FALLBACKS=in_force[table.FALLBACKS],
    )


@routes.post("/configs/models")
async def change_model_settings(form: ModelSettingsForm, context: Administrator) -> ModelSettings:
    """Change default, pinned and ordered models. null is none."""
    await _put(context, MODELS, _model_values(_given(form)))
    return await model_settings(context)


def _model_values(given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: _listed(given[name]) for name in MODELS if name in given and name != "MODEL_FALLBACKS"
    }
    if "MODEL_FALLBACKS" in given:
        values["MODEL_FALLBACKS"] = given["MODEL_FALLBACKS"] or {}
    return values


@routes.get("/configs/connections")
async def connection_settings(context: Administrator) -> ConnectionSettings:
    """What clients are told of connections."""
    return ConnectionSettings(**_named(context, CONNECTIONS))


@routes.post("/configs/connections")
async def change_connection_settings(form: ConnectionSettingsForm, context: Administrator) -> ConnectionSettings:
    """Change what clients are told of connections."""
    await _put(context, CONNECTIONS, _given(form))
    return await connection_settings(context)


@routes.get("/evaluations/config")
async def arena_settings(context: Administrator) -> ArenaSettings:
    """The arena's models, and whether lists show them."""
    return ArenaSettings(**_named(context, ARENA))


@routes.post("/evaluations/config")
async def change_arena_settings(form: ArenaSettingsForm, context: Administrator) -> ArenaSettings:
    """Change the arena. Each model is `{id, name, meta}`; in `meta`: `description`, `model_ids`, `filter_mode`
    (include or exclude), and `access_control` or `access_grants` (without them: administrators only)."""
    await _put(context, ARENA, _given(form))
    return await arena_settings(context)


@routes.get("/config")
async def client_config(context: Caller) -> ClientConfig:
    """What a client needs: version, default models, features and the caller's permissions."""
    in_force = _in_force(context)
    return ClientConfig(
        version=__version__,
        default_models=_joined(_usable(context, in_force[table.DEFAULT_MODELS])),
        default_pinned_models=_joined(_usable(context, in_force[table.PINNED_MODELS])),
        features={
            "enable_direct_connections": in_force[table.DIRECT_CONNECTIONS],
            "enable_evaluation_arena_models": in_force[table.ARENA_ENABLED],
            "enable_signup": in_force[table.SIGN_UP_ENABLED],
        },
        permissions=tree(context.principal.permissions),
    )


def _in_force(context: Context) -> Mapping[str, Any]:
    return context.control.published.snapshot.settings


def _named(context: Context, names: Mapping[str, str]) -> dict[str, Any]:
    in_force = _in_force(context)
    return {shown: in_force[name] for shown, name in names.items()}


def _given(form: BaseModel) -> dict[str, Any]:
    return form.model_dump(exclude_unset=True)


async def _put(context: Context, names: Mapping[str, str], given: Mapping[str, Any]) -> None:
    in_force = _in_force(context)
    async with context.control.changes.begin(context.actor) as change:
        for shown, value in given.items():
            name = names[shown]
            await service.put(change, name, table.INITIAL[name] if value is None else value, in_force, param=shown)


def _listed(value: str | list[str] | None) -> list[str]:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return value or []


def _joined(ids: list[str]) -> str | None:
    return ",".join(ids) or None


def _usable(context: Context, ids: list[str]) -> list[str]:
    """Those of the ids that the caller may use: the others would tell of models that are not theirs to see."""
    snapshot, principal = context.control.published.snapshot, context.principal
    found = [(name, named(snapshot, name)) for name in ids]
    return [
        name
        for name, model in found
        if model is not None and in_scope(principal, model, snapshot) and may_use(principal, model, snapshot)
    ]
