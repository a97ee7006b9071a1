"""The plain pages there are until the web interface exists: what to do next, and the first administrator's form.

No script at all. Every value that is shown is escaped.
"""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from urllib.parse import parse_qs

from modelyard.api.body import ClientLeft, read_body
from modelyard.api.reply import Receive, Scope, Send, deliver
from modelyard.control.context import Control
from modelyard.control.discovery import find_local
from modelyard.control.people.throttle import SignInThrottle
from modelyard.control.setup import service as setup
from modelyard.core.errors import Kind, Problem
from modelyard.gateway.call import Headers, Reply

MAX_FORM_BYTES = 10_000
STYLE = "/page.css"

_SECURITY: Headers = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


class Pages:
    """`/`, `/setup` and their style sheet."""

    def __init__(self, control: Control, throttle: SignInThrottle) -> None:
        self._control = control
        self._throttle = throttle
        self._style = files("modelyard.api").joinpath("static/page.css").read_bytes()

    async def style(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = [(b"content-type", b"text/css; charset=utf-8"), (b"cache-control", b"max-age=300")]
        await deliver(Reply(status=200, headers=headers, body=self._style), send)

    async def home(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/`: what to do next. Tells a stranger nothing about connections or models."""
        root, address = _address(scope)
        needed = await setup.needed(self._control.database) and not self._control.declared.credentials
        first = (
            "<h2>1. Make the administrator</h2><p>Open the setup link that the terminal printed at start. "
            "It works once.</p>"
            if needed
            else "<p>This server is set up. Use it with the API key that you were given.</p>"
        )
        content = f"""
<p class="quiet">One address for all your models.</p>
{first}
<h2>{"2. " if needed else ""}Connect a backend</h2>
<p>An administrator does this once, with their key:</p>
<pre>curl {escape(address)}/api/v1/connections \\
  -H "Authorization: Bearer $MODELYARD_API_KEY" \\
  -d '{{"name": "ollama", "kind": "ollama", "base_url": "http://127.0.0.1:11434"}}'</pre>
<h2>{"3. " if needed else ""}Call a model</h2>
<pre>curl {escape(address)}/v1/models -H "Authorization: Bearer $MODELYARD_API_KEY"

curl {escape(address)}/v1/chat/completions \\
  -H "Authorization: Bearer $MODELYARD_API_KEY" \\
  -d '{{"model": "MODEL", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'</pre>
<p class="quiet">The management API is described at <a href="{escape(root)}/api/v1/openapi.json">/api/v1/openapi.json</a>.</p>"""
        await deliver(_page(root, "Modelyard", content), send)

    async def set_up(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/setup?token=...`: the form for the first administrator, and what comes of it."""
        root, address = _address(scope)
        try:
            if scope["method"] == "POST":
                reply = await self._administrator_made(scope, receive, root, address)
            else:
                token = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
                reply = _page(root, "Set up Modelyard", _form(root, token))
        except ClientLeft:
            return
        await deliver(reply, send)

    async def _administrator_made(self, scope: Scope, receive: Receive, root: str, address: str) -> Reply:
        client = scope.get("client")
        peer = client[0] if client else ""
        fields: dict[str, list[str]] = {}
        try:
            body = await read_body(scope, receive, MAX_FORM_BYTES)
            fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
            user, _, key = await setup.set_up(
                self._control.changes,
                self._control.seal,
                self._throttle,
                token=_field(fields, "token"),
                email=_field(fields, "email"),
                password=_field(fields, "password"),
                address=peer,
                user_agent=dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1"),
                session_seconds=self._control.session_seconds,
            )
        except (Problem, ValueError) as error:
            problem = error if isinstance(error, Problem) else Problem(Kind.MALFORMED, "The form could not be read.")
            form = _form(root, _field(fields, "token"), _field(fields, "email"), problem.message)
            return _page(root, "Set up Modelyard", form, status=problem.kind.status)
        found = await find_local(self._control.client, [row.base_url for row in self._control.connections()])
        offered = [(row.name, row.kind, row.flavour, row.base_url) for row in found]
        return _page(root, "Modelyard is set up", _done(user.email, key, address, offered))


def _field(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[0]


def _address(scope: Scope) -> tuple[str, str]:
    """(base path, the address that the browser used, for the examples)"""
    root = str(scope.get("root_path", ""))
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "127.0.0.1:8484")
    return root, f"{scope['scheme']}://{host}{root}"


def _form(root: str, token: str, email: str = "", problem: str = "") -> str:
    told = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    return f"""
<p>Create the administrator. The link that brought you here works once.</p>
{told}
<form method="post" action="{escape(root)}/setup">
<input type="hidden" name="token" value="{escape(token)}">
<label>E-mail <input name="email" type="email" required autocomplete="username" value="{escape(email)}"></label>
<label>Password <input name="password" type="password" required minlength="8" autocomplete="new-password">
<span class="quiet">At least 8 characters.</span></label>
<button>Create administrator</button>
</form>"""


def _done(email: str, key: str, address: str, found: Sequence[tuple[str, str, str, str]]) -> str:
    rows = "".join(
        f"""<p>{escape(name)} answers at <code>{escape(url)}</code>:</p>
<pre>curl {escape(address)}/api/v1/connections \\
  -H "Authorization: Bearer $MODELYARD_API_KEY" \\
  -d '{{"name": "{escape(name)}", "kind": "{escape(kind)}", "flavour": "{escape(flavour)}",
       "base_url": "{escape(url)}"}}'</pre>"""
        for name, kind, flavour, url in found
    )
    backends = rows or (
        f"""<p>None was found on this machine. Add one by its address:</p>
<pre>curl {escape(address)}/api/v1/connections \\
  -H "Authorization: Bearer $MODELYARD_API_KEY" \\
  -d '{{"name": "ollama", "kind": "ollama", "base_url": "http://127.0.0.1:11434"}}'</pre>"""
    )
    return f"""
<p>{escape(email)} is the administrator.</p>
<h2>Your first API key</h2>
<p>It is shown here and never again. Keep it now:</p>
<pre class="key">export MODELYARD_API_KEY={escape(key)}</pre>
<h2>Connect a backend</h2>
{backends}
<h2>Call a model</h2>
<pre>curl {escape(address)}/v1/models -H "Authorization: Bearer $MODELYARD_API_KEY"</pre>"""


def _page(root: str, title: str, content: str, status: int = 200) -> Reply:
    body = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="stylesheet" href="{escape(root)}{STYLE}"></head>
<body><main><h1>{escape(title)}</h1>{content}</main></body></html>
"""
    return Reply(
        status=status, headers=[(b"content-type", b"text/html; charset=utf-8"), *_SECURITY], body=body.encode()
    )
