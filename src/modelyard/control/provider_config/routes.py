"""`/openai` and `/ollama` beside calls of models: connections as lists by position. Administrators only."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import ConnectionRow, Offer
from modelyard.control.context import Administrator, Context
from modelyard.control.discovery import ListFailed, fetch_models
from modelyard.control.provider_config import service
from modelyard.control.provider_config.schemas import (
    ConnectionConfig,
    ModelList,
    OllamaConfig,
    OllamaConfigForm,
    OllamaVersion,
    OpenAIConfig,
    OpenAIConfigForm,
    VerifyForm,
)
from modelyard.control.provider_config.service import Wanted
from modelyard.control.provider_config.trying import fetch_version, without_secrets
from modelyard.core.errors import Kind, Problem

OPENAI = "openai"
OLLAMA = "ollama"

Position = Annotated[int, Path(ge=0, le=100_000)]


def router(defaults: Timeouts) -> APIRouter:
    """The routes; `defaults` are the timeouts of a connection that names none."""
    routes = APIRouter(tags=["connections by position"])

    @routes.get("/openai/config")
    async def openai_config(context: Administrator) -> OpenAIConfig:
        """The connections of kind openai, keys masked."""
        rows = _of_kind(context, OPENAI)
        return OpenAIConfig(
            ENABLE_OPENAI_API=any(row.enable for row in rows),
            OPENAI_API_BASE_URLS=[row.base_url for row in rows],
            OPENAI_API_KEYS=[service.shown_key(row) for row in rows],
            OPENAI_API_CONFIGS={str(index): service.shown_config(row) for index, row in enumerate(rows)},
        )

    @routes.post("/openai/config/update")
    async def change_openai_config(form: OpenAIConfigForm, context: Administrator) -> OpenAIConfig:
        """Bring the connections of kind openai to what the lists say. Declared ones must stay as they are (409)."""
        urls, keys = form.OPENAI_API_BASE_URLS, form.OPENAI_API_KEYS
        given_keys: Sequence[str | None] = [None] * len(urls) if keys is None else [*keys, *[""] * len(urls)]
        await _apply(
            context, defaults, OPENAI, form.ENABLE_OPENAI_API, _wanted(urls, given_keys, form.OPENAI_API_CONFIGS)
        )
        return await openai_config(context)

    @routes.post("/openai/verify")
    async def verify_openai(form: VerifyForm, context: Administrator) -> ModelList:
        """Ask a server for its list of models, without connecting it."""
        row = _tried(context, defaults, OPENAI, form)
        return ModelList(data=without_secrets(row, await _listed(context, row)))

    @routes.get("/openai/models/{index}")
    async def offered(index: Position, context: Administrator) -> ModelList:
        """What the connection at this position lists, as it says it: the last list that it gave."""
        rows = _of_kind(context, OPENAI)
        if index >= len(rows):
            raise Problem(Kind.NOT_FOUND, f"There is no connection at position {index}; there are {len(rows)}.")
        row = rows[index]
        offer = context.control.discovery.offers.get(row.id, Offer())
        if offer.fetched_at is None and offer.error is not None:
            raise Problem(Kind.UPSTREAM_FAILED, f"{row.name}: {offer.error}")
        return ModelList(data=without_secrets(row, [dict(model) for model in offer.models]))

    @routes.get("/ollama/config")
    async def ollama_config(context: Administrator) -> OllamaConfig:
        """The connections of kind ollama, keys masked."""
        rows = _of_kind(context, OLLAMA)
        return OllamaConfig(
            ENABLE_OLLAMA_API=any(row.enable for row in rows),
            OLLAMA_BASE_URLS=[row.base_url for row in rows],
            OLLAMA_API_CONFIGS={
                str(index): {**service.shown_config(row), "key": service.shown_key(row)}
                for index, row in enumerate(rows)
            },
        )

    @routes.post("/ollama/config/update")
    async def change_ollama_config(form: OllamaConfigForm, context: Administrator) -> OllamaConfig:
        """Bring the connections of kind ollama to what the list says. Declared ones must stay as they are (409)."""
        urls, configs = form.OLLAMA_BASE_URLS, form.OLLAMA_API_CONFIGS
        found = [_config(configs, index, url) for index, url in enumerate(urls)]
        keys = [config.get("key") for config in found]
        await _apply(context, defaults, OLLAMA, form.ENABLE_OLLAMA_API, _wanted(urls, keys, configs))
        return await ollama_config(context)

    @routes.post("/ollama/verify")
    async def verify_ollama(form: VerifyForm, context: Administrator) -> OllamaVersion:
        """Ask a server for its version, without connecting it."""
        row = _tried(context, defaults, OLLAMA, form)
        try:
            return OllamaVersion(version=await fetch_version(context.control.client, row))
        except ListFailed as failed:
            raise Problem(Kind.UPSTREAM_FAILED, f"{row.base_url}: {failed}") from None

    return routes


def _of_kind(context: Context, kind: str) -> list[ConnectionRow]:
    return [row for row in context.control.connections() if row.kind == kind]


def _config(configs: Mapping[str, ConnectionConfig], index: int, url: str) -> dict[str, Any]:
    """What is given for a position; configs at places that are none are passed over."""
    found = configs.get(str(index)) or configs.get(url)
    return {} if found is None else found.model_dump(exclude_unset=True)


def _wanted(urls: Sequence[str], keys: Sequence[str | None], configs: Mapping[str, ConnectionConfig]) -> list[Wanted]:
    return [Wanted(url=url, key=keys[index], config=_config(configs, index, url)) for index, url in enumerate(urls)]


async def _apply(
    context: Context, defaults: Timeouts, kind: str, enable: bool | None, wanted: Sequence[Wanted]
) -> None:
    control = context.control
    lists = service.Lists(control.seal, defaults, kind, control.connections())
    async with control.changes.begin(context.actor) as change:
        await lists.apply(change, wanted, enable)
    if change.touched:
        await control.discovery.refresh()


def _tried(context: Context, defaults: Timeouts, kind: str, form: VerifyForm) -> ConnectionRow:
    config = {} if form.config is None else form.config.model_dump(exclude_unset=True)
    key = form.key if form.key is not None else config.get("key")
    wanted = Wanted(url=form.url, key=key, config=config)
    return service.tried(kind, form.url, wanted, context.control.connections(), defaults)


async def _listed(context: Context, row: ConnectionRow) -> list[dict[str, Any]]:
    try:
        return await fetch_models(context.control.client, row)
    except ListFailed as failed:
        raise Problem(Kind.UPSTREAM_FAILED, f"{row.base_url}: {failed}") from None
