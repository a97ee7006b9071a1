"""A row of the matrix, its nine cells, and the running of one of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.asking import DIALECTS, Answer, Ask, Message, User
from tests.conformance.callers import Caller
from tests.conformance.lab import PREFIXES, REAL, SCRIPTED, Lab

Check = Callable[["Cell"], None]

PASS = "pass"
LOSS = "loss"
ABSENT = "absent"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The dialect of the caller and that of the target."""

    caller: str
    target: str

    def __str__(self) -> str:
        return f"{self.caller}>{self.target}"


PAIRS = tuple(Pair(caller=caller, target=target) for caller in DIALECTS for target in DIALECTS)


@dataclass(frozen=True)
class Loss:
    """Which cells (`openai>ollama`, `*>ollama`, `openai|anthropic>ollama`) tell that these fields were lost, and why.

    A star never means a cell of one dialect with itself: there the request passes as it is.
    """

    cells: str
    fields: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Absent:
    """Which cells there is nothing to test in, and why: the dialect has no such notion. Here a star means all."""

    cells: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row. `check` asks and asserts, the same for every cell; what a cell may differ in is declared beside it."""

    name: str
    group: str
    title: str
    upstream: str
    check: Check
    losses: tuple[Loss, ...] = ()
    absent: tuple[Absent, ...] = ()

    @property
    def declared(self) -> "tuple[Loss | Absent, ...]":
        return (*self.losses, *self.absent)

    def absence(self, pair: Pair) -> str | None:
        """Why there is nothing to test, None when there is."""
        return next((one.reason for one in self.absent if _covers(one.cells, pair, itself=True)), None)

    def loss(self, pair: Pair) -> Loss | None:
        """What this cell is to tell as lost."""
        return next((one for one in self.losses if _covers(one.cells, pair, itself=False)), None)

    def expected(self, pair: Pair) -> str:
        """PASS, LOSS or ABSENT."""
        if self.absence(pair) is not None:
            return ABSENT
        return PASS if self.loss(pair) is None else LOSS


def _covers(cells: str, pair: Pair, *, itself: bool) -> bool:
    caller, _, target = cells.partition(">")
    if not itself and "*" in (caller, target) and pair.caller == pair.target:
        return False
    return _named(caller, pair.caller) and _named(target, pair.target)


def _named(names: str, dialect: str) -> bool:
    return names == "*" or dialect in names.split("|")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a call failed. `status` is that of the answer, None for an error within a stream that had begun."""

    error: Exception
    status: int | None
    message: str
    headers: Mapping[str, str]


@dataclass(kw_only=True)
class Cell:
    """One case for one pair, while it runs."""

    lab: Lab
    case: Case
    pair: Pair
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def caller(self) -> Caller:
        return self.lab.callers[self.pair.caller]

    @property
    def target(self) -> str:
        return self.pair.target

    def model(self, name: str) -> str:
        """The caller's name for a script; in cases with real backends for theirs, the recorded one being `name`."""
        if self.case.upstream == REAL:
            return self.lab.real(self.target, name)
        return f"{PREFIXES[self.target]}.{name}"

    def whole(self, name: str, *messages: Message | str, **options: Any) -> Answer:
        """Ask a model for a whole answer."""
        return self.caller.whole(self.model(name), ask_of(messages, options))

    def stream(self, name: str, *messages: Message | str, **options: Any) -> Answer:
        """The same as a stream."""
        return self.caller.stream(self.model(name), ask_of(messages, options))

    def both(self, name: str, *messages: Message | str, **options: Any) -> list[Answer]:
        """The whole answer and the streamed one."""
        return [self.whole(name, *messages, **options), self.stream(name, *messages, **options)]

    def seen(self, *messages: Message | str, **options: Any) -> dict[str, Any]:
        """What arrived at a target, as the scripted upstream understands it in its own dialect."""
        told: dict[str, Any] = json.loads(self.whole("see", *messages, **options).text)
        return told

    def sent(self) -> dict[str, Any]:
        """The body that the scripted upstream got last."""
        body: dict[str, Any] = json.loads(self.lab.sent()["body"])
        return body

    def failure(self, name: str, *messages: Message | str, streamed: bool = False, **options: Any) -> Failure:
        """The failure of a call that must fail, by the SDK's own kind of error."""
        return self.failure_of(self.model(name), messages or ("Hello",), options, streamed=streamed)

    def failure_of(
        self, model: str, messages: tuple[Message | str, ...], options: Mapping[str, Any], *, streamed: bool = False
    ) -> Failure:
        """The same for a model by its full name."""
        caller = self.caller
        try:
            run = caller.stream if streamed else caller.whole
            answer = run(model, ask_of(messages, options))
        except caller.errors as error:
            status, message = caller.raised(error)
            return Failure(error=error, status=status, message=message, headers=caller.heads[-1])
        raise AssertionError(f"the answer ended as if all were well: {answer}")

    @property
    def losses(self) -> set[str]:
        """All that the answers of this cell named as lost."""
        told = [head["x-modelyard-loss"] for head in self.caller.heads if "x-modelyard-loss" in head]
        return {name for names in told for name in names.split(",")}


def ask_of(messages: tuple[Message | str, ...], options: Mapping[str, Any]) -> Ask:
    """A request. A string is what the user says."""
    turns = tuple(User(parts=(message,)) if isinstance(message, str) else message for message in messages)
    return Ask(messages=turns, **options)


def run(case: Case, pair: Pair, lab: Lab) -> None:
    """Run one cell. Raises whatever went wrong in it, AssertionError for other losses than the declared ones."""
    cell = Cell(lab=lab, case=case, pair=pair)
    cell.caller.heads.clear()
    cell.caller.validates = pair.caller != pair.target
    case.check(cell)
    loss = case.loss(pair)
    expected = set(loss.fields) if loss is not None else set()
    assert cell.losses == expected, f"told as lost: {sorted(cell.losses)}, expected: {sorted(expected)}"


class Cases:
    """The rows of one group, in their order; `add` is the decorator of a check."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.rows: list[Case] = []

    def add(self, title: str, *declared: Loss | Absent, upstream: str = SCRIPTED) -> Callable[[Check], Check]:
        """The check below is a row with this title, these losses and these cells without a test."""

        def note(check: Check) -> Check:
            self.rows.append(
                Case(
                    name=check.__name__,
                    group=self.group,
                    title=title,
                    upstream=upstream,
                    check=check,
                    losses=tuple(one for one in declared if isinstance(one, Loss)),
                    absent=tuple(one for one in declared if isinstance(one, Absent)),
                )
            )
            return check

        return note
