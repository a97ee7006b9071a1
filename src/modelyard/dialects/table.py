"""The dialects there are, and every operation of theirs. A new dialect is a folder beside this file and a row here."""

from collections.abc import Mapping

from modelyard.dialects.anthropic import ANTHROPIC
from modelyard.dialects.dialect import Dialect, Operation
from modelyard.dialects.ollama import OLLAMA
from modelyard.dialects.openai import OPENAI

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (OPENAI, ANTHROPIC, OLLAMA)}

OPERATIONS: Mapping[str, Operation] = {
    operation.id: operation for dialect in DIALECTS.values() for operation in dialect.operations
}
