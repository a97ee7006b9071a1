"""The providers of LiteLLM, as connections: what stands before the slash of `litellm_params.model`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelyard.dialects.flavours import FLAVOURS


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is connected. `key` and `address` are the variables that LiteLLM reads when the file names none.

    `tag` is what a name without one means there.
    """

    kind: str
    flavour: str | None = None
    base_url: str | None = None
    key: str | None = None
    address: str | None = None
    tag: str = ""


def _flavour(name: str, key: str | None, address: str | None = None, *, local: bool = False) -> Provider:
    row = FLAVOURS[name]
    return Provider(row.kind, name, None if local else row.default_url, key, address)


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider("openai", None, "https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_API_BASE"),
    "text-completion-openai": Provider("openai", None, "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "azure": Provider("openai", "azure", None, "AZURE_API_KEY", "AZURE_API_BASE"),
    "azure_text": Provider("openai", "azure", None, "AZURE_API_KEY", "AZURE_API_BASE"),
    "azure_ai": Provider("openai", None, None, "AZURE_AI_API_KEY", "AZURE_AI_API_BASE"),
    "anthropic": _flavour("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_API_BASE"),
    "ollama": replace(_flavour("ollama", None, "OLLAMA_API_BASE"), tag=":latest"),
    "ollama_chat": replace(_flavour("ollama", None, "OLLAMA_API_BASE"), tag=":latest"),
    "groq": _flavour("groq", "GROQ_API_KEY"),
    "mistral": _flavour("mistral", "MISTRAL_API_KEY"),
    "deepseek": _flavour("deepseek", "DEEPSEEK_API_KEY"),
    "openrouter": _flavour("openrouter", "OPENROUTER_API_KEY"),
    "gemini": _flavour("gemini", "GEMINI_API_KEY"),
    "together_ai": _flavour("together", "TOGETHERAI_API_KEY"),
    "xai": _flavour("xai", "XAI_API_KEY"),
    "hosted_vllm": _flavour("vllm", "HOSTED_VLLM_API_KEY", "HOSTED_VLLM_API_BASE", local=True),
    "vllm": _flavour("vllm", None, local=True),
    "lm_studio": _flavour("lmstudio", "LM_STUDIO_API_KEY", "LM_STUDIO_API_BASE"),
    "llamafile": Provider("openai", "llama.cpp", "http://127.0.0.1:8080/v1"),
    "openai_like": Provider("openai"),
    "custom_openai": Provider("openai"),
    "xinference": Provider("openai", None, None, None, "XINFERENCE_API_BASE"),
    "litellm_proxy": Provider("openai", None, None, "LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE"),
    "fireworks_ai": Provider("openai", None, "https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "nvidia_nim": Provider("openai", None, "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "cerebras": Provider("openai", None, "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "sambanova": Provider("openai", None, "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "moonshot": Provider("openai", None, "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
}

# Names that LiteLLM knows without a provider before them.
_BY_NAME = (
    (
        ("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-", "dall-e", "whisper", "tts-", "omni-moderation"),
        "openai",
    ),
    (("claude-",), "anthropic"),
)


def split(model: str, given: str | None) -> tuple[str | None, str]:
    """(provider, name at the provider). The provider is None when neither the name nor `given` tells it."""
    head, slash, rest = model.partition("/")
    if given:
        return given, rest if slash and head == given else model
    if slash and rest and head in PROVIDERS:
        return head, rest
    if slash:
        return head, rest
    return next((provider for starts, provider in _BY_NAME if model.startswith(starts)), None), model
