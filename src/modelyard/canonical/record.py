"""The record of one call, as the journal and the ledger keep it, and what the responses API keeps of one."""

from typing import NamedTuple

import msgspec

OK = "ok"
ERROR = "error"
LEFT = "left"
CUT = "cut"


class CallRecord(msgspec.Struct, kw_only=True, array_like=True, gc=False):
    """One call that left for a backend. Times are Unix milliseconds; durations milliseconds.

    `status`: `ok`; `error` (the backend failed or refused, `error` says how); `left` (the caller went away); `cut`
    (the server ended in mid-call: what was known is here). `estimated` marks tokens that no backend reported. `loss`
    names what the backend's dialect could not say, with commas between.

    Written as a JSON array in the order of the fields, so a new field goes to the end.
    """

    id: str
    started_at: int
    user_id: str
    key_id: str
    dialect: str
    operation: str
    model: str
    stream: bool
    input: int
    ended_at: int = 0
    upstream_model: str = ""
    connection_id: str = ""
    status: str = CUT
    http_status: int = 0
    error: str = ""
    attempts: int = 0
    first_byte_ms: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False
    cache_write_1h: int = 0
    audio_input: int = 0
    audio_output: int = 0
    loss: str = ""


class StoredTurn(NamedTuple):
    """One request of the responses API with its answer. Ids are the backends': unique only for one person.

    `items` is a JSON list of what was said in the turn, `answer` the answer as it was given; times are Unix seconds.
    """

    user_id: str
    id: str
    previous_id: str | None
    items: str
    answer: str
    created_at: int
    expires_at: int
