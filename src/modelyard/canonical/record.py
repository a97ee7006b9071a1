"""The record of one call, as the journal and the ledger keep it."""

import msgspec

OK = "ok"
ERROR = "error"
LEFT = "left"
CUT = "cut"


class CallRecord(msgspec.Struct, kw_only=True, array_like=True, gc=False):
    """One call that left for a backend. Times are Unix milliseconds; durations milliseconds.

    `status`: `ok`; `error` (the backend failed or refused, `error` says how); `left` (the caller went away); `cut`
    (the server ended in mid-call: what was known is here). `estimated` marks tokens that no backend reported.

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
