"""The record of one call, as the journal and the ledger keep it."""

import msgspec

OK = "ok"
ERROR = "error"
LEFT = "left"
CUT = "cut"


class CallRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One call that left for a backend. Times are Unix milliseconds; durations milliseconds.

    `status`: `ok`; `error` (the backend failed or refused, `error` says how); `left` (the caller went away); `cut`
    (the server ended in mid-call: what was known is here). `estimated` marks tokens that no backend reported.
    """

    id: str
    started_at: int
    ended_at: int = 0
    user_id: str
    key_id: str = ""
    dialect: str
    operation: str
    model: str
    upstream_model: str = ""
    connection_id: str = ""
    stream: bool = False
    status: str = CUT
    http_status: int = 0
    error: str = ""
    attempts: int = 0
    first_byte_ms: int = 0
    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    estimated: bool = False
