"""OpenAI's responses."""

from collections.abc import Iterator
from typing import Any

from modelyard.upstream.scripted.answers import logprob, sign
from modelyard.upstream.scripted.asked import Asked, field, linked, number, objects, packed, strings, text_of
from modelyard.upstream.scripted.chat import document, error
from modelyard.upstream.scripted.form import FAILED, Act, Answer, Block, Call, Finish, Form, Kind, Reply, encode, sse

INCOMPLETE = {Finish.LENGTH: "max_output_tokens", Finish.FILTER: "content_filter"}


def read(body: dict[str, Any]) -> Asked:
    """A request of `POST /v1/responses`."""
    asked = Asked(
        tools=strings([tool.get("name") or tool.get("type") for tool in objects(body.get("tools"))]),
        limit=number(body.get("max_output_tokens")),
        stops=strings(body.get("stop")),
        format=field(body, "text", "format", "schema"),
    )
    if asked.format is None and field(body, "text", "format", "type") == "json_object":
        asked.format = "json"
    if isinstance(body.get("instructions"), str):
        asked.add("system", body["instructions"])
    if isinstance(body.get("input"), str):
        asked.add("user", body["input"])
    for item in objects(body.get("input")):
        _read_item(asked, item)
    return asked


def _read_item(asked: Asked, item: dict[str, Any]) -> None:
    match item.get("type", "message"):
        case "message":
            asked.add(str(item.get("role")), text_of(item.get("content")))
            _read_parts(asked, item.get("content"))
        case "function_call":
            asked.called(item.get("call_id"), item.get("name"), item.get("arguments"))
        case "function_call_output":
            text = text_of(item.get("output"))
            asked.texts.append(text)
            asked.returned(item.get("call_id"), text)
            _read_parts(asked, item.get("output"))
        case "reasoning":
            text = text_of(item.get("summary"))
            asked.thinking.append({"text": text, "signature": item.get("encrypted_content") or ""})
        case _:
            pass


def _read_parts(asked: Asked, content: object) -> None:
    for part in objects(content):
        if part.get("type") == "input_image":
            asked.images.append(linked(part.get("image_url"), **_identifier(part)))
        elif part.get("type") == "input_file":
            url = part.get("file_url")
            asked.documents.append(linked(url) if url else document(part))
        elif part.get("type") == "input_audio":
            asked.audio.append(packed(field(part, "input_audio", "data"), field(part, "input_audio", "format")))


def _identifier(part: dict[str, Any]) -> dict[str, Any]:
    return {"file_id": part["file_id"]} if part.get("file_id") else {}


def _response(call: Call, status: str, output: list[dict[str, Any]], answer: Answer | None = None) -> dict[str, Any]:
    """The response object. `answer` gives its usage and the reason why it is not complete."""
    body, usage = call.body, answer.usage if answer else None
    reason = INCOMPLETE.get(answer.finish) if answer and status == "incomplete" else None
    return {
        "id": f"resp_{call.identifier}",
        "object": "response",
        "created_at": call.created,
        "status": status,
        "background": False,
        "error": {"code": "server_error", "message": FAILED.message} if status == "failed" else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": call.model,
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": usage
        and {
            "input_tokens": usage.all_input,
            "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.written},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.all_input + usage.output,
        },
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


class _Item:
    """One item of the output: as it begins, and as it is complete; with the names of the events in between."""

    def __init__(self, call: Call, block: Block, index: int) -> None:
        self.block, self.logprobs = block, call.script.logprobs
        prefix = {Kind.TOOL: "fc", Kind.THINKING: "rs", Kind.REDACTED: "rs"}.get(block.kind, "msg")
        identifier = f"{prefix}_{call.identifier}_{index}"
        self.where = {"item_id": identifier, "output_index": index}
        self.begun, self.complete = getattr(self, f"_{prefix}")(identifier, call.identifier)

    def _fc(self, identifier: str, made: str) -> tuple[dict[str, Any], dict[str, Any]]:
        item = {"type": "function_call", "id": identifier, "call_id": self.block.call_id("call", made)}
        item["name"] = self.block.name
        return (
            {**item, "arguments": "", "status": "in_progress"},
            {**item, "arguments": self.block.text, "status": "completed"},
        )

    def _rs(self, identifier: str, _made: str) -> tuple[dict[str, Any], dict[str, Any]]:
        hidden = self.block.kind is Kind.REDACTED
        summary = [] if hidden else [{"type": "summary_text", "text": self.block.text}]
        sealed = self.block.text if hidden else sign(self.block.text)
        item = {"type": "reasoning", "id": identifier}
        return {**item, "summary": []}, {**item, "summary": summary, "encrypted_content": sealed}

    def _msg(self, identifier: str, _made: str) -> tuple[dict[str, Any], dict[str, Any]]:
        item = {"type": "message", "id": identifier, "role": "assistant"}
        part = self.part(self.block.pieces)
        return {**item, "status": "in_progress", "content": []}, {**item, "status": "completed", "content": [part]}

    def part(self, pieces: list[str]) -> dict[str, Any]:
        """The one part of a message."""
        if self.block.kind is Kind.REFUSAL:
            return {"type": "refusal", "refusal": "".join(pieces)}
        told = [logprob(piece) for piece in pieces] if self.logprobs else []
        return {"type": "output_text", "text": "".join(pieces), "annotations": [], "logprobs": told}


class _Stream:
    """The events of one answer, numbered."""

    def __init__(self, call: Call, answer: Answer) -> None:
        self._call, self._answer = call, answer
        self._count = 0

    def event(self, kind: str, **fields: Any) -> bytes:
        data = encode({"type": kind, "sequence_number": self._count, **fields})
        self._count += 1
        return sse(data, kind)

    def events(self) -> Iterator[bytes]:
        call, output = self._call, list[dict[str, Any]]()
        waiting = b"".join(
            self.event(kind, response=_response(call, "in_progress", []))
            for kind in ("response.created", "response.in_progress")
        )
        for index, block in enumerate(self._answer.blocks):
            item = _Item(call, block, index)
            yield waiting + self._begin(item)
            yield from self._deltas(item)
            if call.script.act is Act.TRUNCATED and index == len(self._answer.blocks) - 1:
                return
            waiting = self._end(item)
            output.append(item.complete)
        yield waiting
        if call.script.act not in (Act.NO_DONE, Act.TRUNCATED):
            status = "incomplete" if self._answer.finish in INCOMPLETE else "completed"
            yield self.event(f"response.{status}", response=_response(call, status, output, self._answer))

    def _begin(self, item: _Item) -> bytes:
        written = self.event("response.output_item.added", output_index=item.where["output_index"], item=item.begun)
        match item.block.kind:
            case Kind.TEXT | Kind.REFUSAL:
                part = item.part([])
                written += self.event("response.content_part.added", **item.where, content_index=0, part=part)
            case Kind.THINKING:
                part = {"type": "summary_text", "text": ""}
                written += self.event("response.reasoning_summary_part.added", **item.where, summary_index=0, part=part)
            case Kind.TOOL | Kind.REDACTED:
                pass
        return written

    def _deltas(self, item: _Item) -> Iterator[bytes]:
        for piece in item.block.pieces:
            match item.block.kind:
                case Kind.TEXT:
                    told = [logprob(piece)] if item.logprobs else []
                    more = {"content_index": 0, "delta": piece, "logprobs": told}
                    yield self.event("response.output_text.delta", **item.where, **more)
                case Kind.REFUSAL:
                    yield self.event("response.refusal.delta", **item.where, content_index=0, delta=piece)
                case Kind.THINKING:
                    kind = "response.reasoning_summary_text.delta"
                    yield self.event(kind, **item.where, summary_index=0, delta=piece)
                case Kind.TOOL:
                    yield self.event("response.function_call_arguments.delta", **item.where, delta=piece)
                case Kind.REDACTED:
                    pass

    def _end(self, item: _Item) -> bytes:
        text, where, written = item.block.text, item.where, b""
        match item.block.kind:
            case Kind.TEXT | Kind.REFUSAL as kind:
                part = item.complete["content"][0]
                if kind is Kind.TEXT:
                    more = {"content_index": 0, "text": text, "logprobs": part["logprobs"]}
                    written = self.event("response.output_text.done", **where, **more)
                else:
                    written = self.event("response.refusal.done", **where, content_index=0, refusal=text)
                written += self.event("response.content_part.done", **where, content_index=0, part=part)
            case Kind.THINKING:
                part = item.complete["summary"][0]
                written = self.event("response.reasoning_summary_text.done", **where, summary_index=0, text=text)
                written += self.event("response.reasoning_summary_part.done", **where, summary_index=0, part=part)
            case Kind.TOOL:
                more = {"name": item.block.name, "arguments": text}
                written = self.event("response.function_call_arguments.done", **where, **more)
            case Kind.REDACTED:
                pass
        done = self.event("response.output_item.done", output_index=where["output_index"], item=item.complete)
        return written + done


def _events(call: Call, answer: Answer) -> Iterator[bytes]:
    return _Stream(call, answer).events()


def _whole(call: Call, answer: Answer) -> Reply:
    output = [_Item(call, block, index).complete for index, block in enumerate(answer.blocks)]
    status = "incomplete" if answer.finish in INCOMPLETE else "completed"
    if call.script.act is Act.TRUNCATED:
        status = "in_progress"
    return Reply(200, encode(_response(call, status, output, answer)))


def _fault(call: Call) -> bytes:
    failed = call.script.act is Act.FAILED
    if not call.stream:
        return encode(_response(call, "failed", [])) if failed else error(FAILED)
    if failed:
        event = {"type": "response.failed", "sequence_number": call.events, "response": _response(call, "failed", [])}
        return sse(encode(event), "response.failed")
    told = {
        "type": "error",
        "sequence_number": call.events,
        "code": FAILED.code,
        "message": FAILED.message,
        "param": None,
    }
    return sse(encode(told), "error")


RESPONSES = Form(
    name="openai.responses",
    read=read,
    whole=_whole,
    events=_events,
    error=error,
    fault=_fault,
    broken=b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"never clo\n\n',
)
