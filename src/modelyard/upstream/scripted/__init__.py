"""A scripted upstream: speaks the wire forms of OpenAI, Anthropic and Ollama and misbehaves on request. For the demo
mode, for work on the console and for tests of faults.

    python -m modelyard.upstream.scripted --port 9100

The model chooses the behaviour: see SCRIPTS in scripts.py. The parameters `delay_ms` and `events` are part of the
model's name (`lorem?delay_ms=5&events=400`) or come in the headers `x-script-delay-ms` and `x-script-events`; a gateway
does not forward the latter. FORMS in endpoints.py says what it serves. `GET /__script__/state` tells what was seen and
`POST /__script__/reset` forgets it.

It remembers what it was sent, credentials included, and tells it to anyone: it is not for real users. It needs uvicorn.
"""

from modelyard.upstream.scripted.answers import HUGE, UNICODE
from modelyard.upstream.scripted.app import ScriptedUpstream
from modelyard.upstream.scripted.endpoints import FORMS
from modelyard.upstream.scripted.scripts import SCRIPTS

__all__ = ["FORMS", "HUGE", "SCRIPTS", "UNICODE", "ScriptedUpstream"]
