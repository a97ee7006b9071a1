"""`/api/v1/models`, what is read there: lists, tags, export, single rows and their pictures."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse

from modelyard.control.catalogue import listing, reading, sharing, whole
from modelyard.control.catalogue.listing_query import Wanted
from modelyard.control.catalogue.schemas import MAX_ID_LENGTH, Model, Models
from modelyard.control.context import Administrator, Caller
from modelyard.policy.permissions import EXPORT_MODELS

routes = APIRouter(prefix="/models", tags=["models"])

MAX_PAGE = 1_000_000
# They travel in one URL, of which the server reads 64 KiB; who wants more exports everything.
MAX_EXPORTED_IDS = 100

Tag = Annotated[str | None, Query(max_length=500)]
# Nobody has a model of a longer id, and no message repeats one.
Id = Annotated[str, Query(max_length=MAX_ID_LENGTH)]

# A picture comes from a person: it is never more than a picture, wherever it is opened.
IMAGE_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "private",
}


@routes.get("/list")
async def list_models(
    context: Caller,
    query: Annotated[str, Query(max_length=500, description="Text in name, id, base, description or owner")] = "",
    view_option: Annotated[Literal["", "created", "shared"], Query(description="Yours, or those of others")] = "",
    tag: Tag = None,
    order_by: Literal["name", "created_at", "updated_at", ""] = "created_at",
    direction: Literal["asc", "desc"] = "desc",
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
) -> Models:
    """The presets that the caller may see, inactive ones too, page by page. Rows of equal rank are ordered by id.

    The search knows no wildcards and no upper and lower case. A page beyond the end is empty.
    """
    wanted = Wanted(
        query=query,
        tag=(tag or "").strip(),
        view=view_option,
        order_by=order_by or "created_at",
        descending=direction == "desc",
        offset=(page - 1) * limit,
        limit=limit,
    )
    return await listing.page(context, wanted)


@routes.get("/base", response_model=list[Model])
async def list_base_models(context: Administrator, tag: Tag = None) -> Response:
    """The rows that override base models, with this tag if one is given."""
    return StreamingResponse(whole.overrides(context, tag), media_type="application/json")


@routes.get("/all", response_model=list[Model])
async def list_all_models(context: Administrator) -> Response:
    """Every row of the catalogue."""
    return StreamingResponse(whole.everything(context), media_type="application/json")


@routes.get("/tags")
async def list_tags(context: Caller) -> list[str]:
    """The tags of the presets that the caller may see."""
    return await reading.tags(context)


@routes.get("/base/tags")
async def list_base_tags(context: Administrator) -> list[str]:
    """The tags of the rows that override base models."""
    return await reading.base_tags(context)


@routes.get("/export", response_model=list[Model])
async def export_models(
    context: Caller, ids: Annotated[list[Id] | None, Query(max_length=MAX_EXPORTED_IDS)] = None
) -> Response:
    """The presets that the caller may change, whole and with their pictures, as `import` takes them.

    Administrators may always, others with the permission `workspace.models_export`. With `ids` these alone; 403 when
    one of them is not among the caller's.
    """
    sharing.require(context.principal, EXPORT_MODELS)
    return StreamingResponse(await whole.exported(context, frozenset(ids or ())), media_type="application/json")


@routes.get("/model")
async def read_model(context: Caller, model_id: Annotated[str, Query(alias="id")]) -> Model:
    """One row. Whoever may write it may read it; 404 for an id that there is not and for one that is not the caller's
    to see, so that nobody can tell which ids are taken."""
    return await reading.one(context, model_id)


@routes.get(
    "/model/profile/image",
    response_class=Response,
    responses={200: {"content": {"image/*": {}}}, 304: {"description": "The caller's copy is still right"}},
)
async def read_profile_image(
    context: Caller,
    model_id: Annotated[str, Query(alias="id")],
    if_none_match: Annotated[str, Header(max_length=10_000)] = "",
) -> Response:
    """The picture of a model; a neutral one when it has none and for every id that the caller may not see."""
    image = await reading.image(context, model_id)
    headers = {**IMAGE_HEADERS, "etag": image.etag}
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    if image.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(image.content, media_type=image.media_type, headers=headers)
