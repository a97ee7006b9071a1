"""A real engine for tests: llama.cpp serving a tiny model that is made on the spot.

    python tests/engine.py --port 8080

The model has the `llama` architecture, 2 layers, width 64 and a byte-level vocabulary; its weights are random but
seeded, so it is the same file every time. It babbles lower-case letters and spaces, one per token, and never stops by
itself: an answer is as long as `max_tokens` (and never longer than MAX_TOKENS). All endpoints, chat and embeddings
alike, are served by the one server. Its id in /v1/models is `tiny-llama`.

llama.cpp logs to the standard error of its process and holds threads of its own, so tests run it in a process of its
own: `Engine` here, or `run_engine()` in tests/servers.py.
"""

import argparse
import signal
import string
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy

ALIAS = "tiny-llama"
SEED = 20260101
LAYERS = 2
WIDTH = 64
HEADS = 4
FEED_FORWARD = 128
CONTEXT = 4096  # per request, in tokens, which here are bytes
SLOTS = 8  # requests answered at the same time; the others wait
MAX_TOKENS = 2048  # the bound of an answer whose request has no max_tokens

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

UNKNOWN, BEGIN, END = 0, 1, 2
FIRST_BYTE = 3
SPOKEN = frozenset(FIRST_BYTE + ord(letter) for letter in string.ascii_lowercase + " ")


def make_model(directory: Path) -> Path:
    """Write the model into `directory` and return its path."""
    import gguf

    path = directory / f"{ALIAS}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(ALIAS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)

    # A sentencepiece vocabulary in which everything falls back to bytes: one token per byte of the prompt.
    tokens = [b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % byte for byte in range(256)), "\u2581".encode()]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    types += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)

    for name, tensor in _tensors(len(tokens)).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(vocabulary: int) -> "dict[str, numpy.ndarray]":
    import numpy

    generator = numpy.random.default_rng(SEED)

    def random(rows: int, columns: int) -> "numpy.ndarray":
        return generator.normal(0.0, columns**-0.5, (rows, columns)).astype(numpy.float32)

    tensors = {"token_embd.weight": random(vocabulary, WIDTH), "output.weight": random(vocabulary, WIDTH)}
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"blk.{layer}.{part}.weight"] = random(WIDTH, WIDTH)
        tensors[f"blk.{layer}.ffn_gate.weight"] = random(FEED_FORWARD, WIDTH)
        tensors[f"blk.{layer}.ffn_up.weight"] = random(FEED_FORWARD, WIDTH)
        tensors[f"blk.{layer}.ffn_down.weight"] = random(WIDTH, FEED_FORWARD)
        tensors[f"blk.{layer}.attn_norm.weight"] = numpy.ones(WIDTH, numpy.float32)
        tensors[f"blk.{layer}.ffn_norm.weight"] = numpy.ones(WIDTH, numpy.float32)
        # Nothing writes to the first dimension of the residual stream ...
        tensors[f"blk.{layer}.attn_output.weight"][0] = 0.0
        tensors[f"blk.{layer}.ffn_down.weight"][0] = 0.0
    tensors["output_norm.weight"] = numpy.ones(WIDTH, numpy.float32)
    # ... so it is a constant, and serves as the bias that the architecture lacks: the model never says anything but
    # SPOKEN. Random bytes would be no text: llama.cpp holds back or replaces what is not UTF-8.
    tensors["token_embd.weight"][:, 0] = 1.0
    tensors["output.weight"][:, 0] = -100.0
    tensors["output.weight"][list(SPOKEN), 0] = 0.0
    return tensors


def start(port: int, model: Path) -> Any:
    """Serve the model on the loopback interface for as long as the result is referred to. It has `listening_address`."""
    import xllamacpp  # type: ignore[import-untyped]

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.model_alias = {ALIAS}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = CONTEXT * SLOTS
    parameters.n_parallel = SLOTS
    parameters.n_batch = parameters.n_ubatch = CONTEXT  # an input to embed must fit into one batch
    parameters.n_predict = MAX_TOKENS
    parameters.n_gpu_layers = 0
    parameters.fit_params = False
    parameters.cpuparams.n_threads = 1  # a model this small only loses time to the synchronising of threads
    parameters.cpuparams_batch.n_threads = 1
    parameters.cache_ram_mib = 0
    parameters.verbosity = 1  # errors only
    parameters.ui = False
    parameters.embedding = True
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN

    # More than SLOTS: a request that waits for a slot holds a thread, and /health must answer all the same.
    parameters.n_threads_http = 4 * SLOTS
    return xllamacpp.Server(parameters)


class Engine:
    """The engine in a process of its own, for a `with` statement; `base_url` ends in /v1."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.base_url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, __file__, "--port", str(self._port)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()  # comes once the engine is ready; empty if it died
        if not line.startswith("serving "):
            self.__exit__(None, None, None)
            raise RuntimeError(f"the engine did not start: {line!r}; it ended with {self._process.returncode}")
        self.base_url = line.split()[-1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="serve a tiny random model with llama.cpp")
    parser.add_argument("--port", type=int, default=8080, help="0: any free one")
    parser.add_argument("--write", type=Path, metavar="DIRECTORY", help="only write the model into this directory")
    options = parser.parse_args()
    if options.write is not None:
        print(make_model(options.write))
        return
    with tempfile.TemporaryDirectory() as directory:  # the file is not needed once the engine has it in memory
        server = start(options.port, make_model(Path(directory)))
    print(f"serving {ALIAS} on {server.listening_address}/v1", flush=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # die like of SIGTERM: at once, without the engine's farewells
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
