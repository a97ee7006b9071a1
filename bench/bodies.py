"""What callers send: a plain chat of about 1 KB, and an agent's turn with four tools, 2 to 3 KB, in two dialects."""

import json
from typing import Any

from bench.answers import MODEL, TOOL

_BOUND = 512
_SYSTEM = (
    "You are the assistant of a travel desk. Answer in short, plain sentences. Use the tools for whatever you do not"
    " know: never guess a price, a date or the weather. Ask before you book or send anything on behalf of the"
    " traveller, and name your source when you quote a rule of the company's travel policy."
)
_QUESTION = (
    "I have to be in Lisbon from Monday to Wednesday. What will the weather be like, and what does our policy say about"
    " hotels there? If a room near the river is within the limits, put the stay into my calendar and write a draft to"
    " Maria that I will not be at the review on Tuesday. I would like to arrive on Sunday evening if that costs us no"
    " more than the early flight on Monday; tell me how you worked that out."
)


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _tool(name: str, description: str, properties: dict[str, Any], required: list[str]) -> tuple[str, str, Any]:
    return name, description, {"type": "object", "properties": properties, "required": required}


# (name, description, JSON schema of the arguments)
_TOOLS = (
    _tool(
        TOOL,
        "The forecast for a city, day by day.",
        {
            "city": _text("Its name in English."),
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": _text("Of temperatures.", enum=["celsius", "fahrenheit"]),
        },
        ["city"],
    ),
    _tool(
        "search_documents",
        "Searches the company's own documents and gives the best passages with their source.",
        {
            "query": _text("A few words."),
            "collection": _text("Where to look.", enum=["policies", "handbook", "offers"]),
            "limit": {"type": "integer", "minimum": 1, "maximum": 20},
        },
        ["query"],
    ),
    _tool(
        "create_event",
        "Puts an entry into the traveller's calendar.",
        {
            "title": _text("What is shown in the calendar."),
            "start": _text("ISO 8601, with the offset.", format="date-time"),
            "end": _text("ISO 8601, with the offset.", format="date-time"),
            "attendees": {"type": "array", "items": _text("An address.", format="email")},
        },
        ["title", "start", "end"],
    ),
    _tool(
        "draft_message",
        "Writes a draft into the traveller's mailbox. It sends nothing.",
        {
            "to": {"type": "array", "items": _text("An address or a colleague's name.")},
            "subject": _text("One line."),
            "body": _text("Plain text."),
            "importance": _text("Normal when absent.", enum=["low", "normal", "high"]),
        },
        ["to", "body"],
    ),
)


def plain(**more: object) -> bytes:
    """A chat request of about 1 KB, as OpenAI's callers write it."""
    system = "You are a helpful assistant. Answer in short, plain sentences, and say so when you do not know."
    question = "Please tell me, step by step, what a gateway in front of model servers is good for. " * 9
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    return _encoded({"model": MODEL, "messages": messages, "temperature": 0.7, "max_tokens": 256, **more})


def openai_tools() -> bytes:
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _QUESTION}]
    tools = [
        {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}
        for name, description, schema in _TOOLS
    ]
    asked = {"messages": messages, "tools": tools, "tool_choice": "auto", "max_tokens": _BOUND}
    return _encoded({"model": MODEL, **asked})


def anthropic_tools() -> bytes:
    """The same, as Anthropic's callers write it."""
    messages = [{"role": "user", "content": _QUESTION}]
    tools = [{"name": name, "description": description, "input_schema": schema} for name, description, schema in _TOOLS]
    asked = {"messages": messages, "tools": tools, "tool_choice": {"type": "auto"}, "max_tokens": _BOUND}
    return _encoded({"model": MODEL, "system": _SYSTEM, **asked})


def _encoded(request: object) -> bytes:
    return json.dumps(request).encode()
