"""How many tokens a prompt has, where no backend of the model can count them: an estimate, and marked as one."""

from modelyard.canonical.chat import IMAGE, ChatRequest, Media, Redacted, Text, Thinking, ToolCall, ToolResult
from modelyard.core import raw
from modelyard.gateway.call import JSON_TYPE, Reply

# Common tokenizers make a token of about four bytes of English or code, and fewer of other scripts.
BYTES_PER_TOKEN = 4
TOKENS_PER_TURN = 4
TOKENS_PER_TOOL = 12
TOKENS_PER_IMAGE = 1_500
BASE64_BYTES_PER_TOKEN = 40  # a page of a PDF is about 100 kB and 2,500 tokens


def estimate(request: ChatRequest) -> int:
    """Tokens of everything in the request that a model reads."""
    size = sum(_size(text) for text in request.system)
    size += sum(_size(block) for turn in request.turns for block in turn.blocks)
    for tool in request.tools:
        size += len(tool.name) + len((tool.description or "").encode()) + len(tool.schema or b"")
    whole = -(-size // BYTES_PER_TOKEN)
    return whole + TOKENS_PER_TURN * (len(request.turns) + 1) + TOKENS_PER_TOOL * len(request.tools)


def _size(block: object) -> int:
    """About how many bytes of text this block is worth."""
    match block:
        case Text(text=text) | Thinking(text=text) | Redacted(data=text):
            return len(text.encode("utf-8", "surrogatepass"))
        case ToolCall(name=name, arguments=arguments):
            return len(name) + len(arguments)
        case ToolResult(content=content):
            return sum(_size(part) for part in content)
        case Media():
            return _media_size(block)
        case _:
            return 0


def _media_size(media: Media) -> int:
    if media.kind == IMAGE:
        return TOKENS_PER_IMAGE * BYTES_PER_TOKEN
    return len(media.text or "") + len(media.data or "") * BYTES_PER_TOKEN // BASE64_BYTES_PER_TOKEN


def estimated(request: ChatRequest, call_id: str) -> Reply:
    """The answer of `count_tokens` (Anthropic API reference, "Count tokens in a Message") with our mark on it."""
    return Reply(
        status=200,
        headers=[(b"x-request-id", call_id.encode()), (b"x-modelyard-estimated", b"true"), JSON_TYPE],
        body=raw.encode({"input_tokens": estimate(request), "estimated": True}),
    )
