"""`x-modelyard-dry-run`: what would happen, told without calling anybody or using up a limit."""

from collections.abc import Sequence

from modelyard.canonical.snapshot import Model, Principal, Target
from modelyard.core import raw
from modelyard.gateway.call import JSON_TYPE, Call, Reply
from modelyard.gateway.lanes import Lane
from modelyard.gateway.limits import Item


def explain(
    call: Call,
    model: Model,
    principal: Principal,
    candidates: Sequence[Target],
    lane: Lane | None,
    items: Sequence[Item],
) -> Reply:
    """The candidates in the order in which they would be tried, the limits, and the body for the first one.

    `lane` is that to the first candidate, None when no backend is needed. The body holds a preset's prompt, so only
    those who may write the preset see it.
    """
    limits = principal.limits
    sees_body = model.preset is None or principal.is_admin or model.owner_id == principal.user_id
    return Reply(
        status=200,
        headers=[(b"x-request-id", call.id.encode()), JSON_TYPE],
        body=raw.encode(
            {
                "request_id": call.id,
                "candidates": [
                    {"connection": target.connection.name, "model": target.model, "score": -rank, "rejected": None}
                    for rank, target in enumerate(candidates)
                ],
                "chosen": {"connection": candidates[0].connection.name, "model": candidates[0].model}
                if candidates
                else None,
                "limits": {
                    "rpm": limits.rpm,
                    "tpm": limits.tpm,
                    "concurrency": limits.concurrency,
                    "reserves_tokens": items[0].tokens if items else 0,
                },
                "price": None,
                "loss": lane.losses if lane is not None else [],
                "body": raw.Raw(lane.body) if lane is not None and call.form is None and sees_body else None,
            }
        ),
    )
