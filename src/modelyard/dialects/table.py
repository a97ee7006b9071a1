"""The dialects there are. A new one is a folder beside this file and a row here."""

from collections.abc import Mapping

from modelyard.dialects.dialect import Dialect
from modelyard.dialects.openai import OPENAI

DIALECTS: Mapping[str, Dialect] = {OPENAI.name: OPENAI}
