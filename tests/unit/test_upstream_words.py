"""What is said of a backend that does not answer: the cause first, in sentences, the address only where nobody sees it."""

import errno
import socket
import ssl

import pytest

from modelyard.canonical.endpoint import Timeouts
from modelyard.core.errors import Kind, Problem
from modelyard.gateway.upstream_errors import cleaned
from modelyard.upstream.client import (
    broken_off,
    cause_of,
    connect_timed_out,
    malformed,
    sentence,
    timed_out,
    too_large,
    unreachable,
)
from tests.unit.make import target

ORIGIN = "http://10.0.0.1:8000"
TIMEOUTS = Timeouts(connect=3, first_byte=2.5, idle=30)


def no_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1006)")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        (unreachable(ORIGIN, ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 8000)")),
         "Connection refused. Is it running?"),
        (unreachable(ORIGIN, OSError(errno.EHOSTUNREACH, "Connect call failed ('10.0.0.1', 8000)")), "No route to host."),
        (unreachable(ORIGIN, socket.gaierror(-2, "Name or service not known")), "Host name not found."),
        (unreachable(ORIGIN, UnicodeError("label too long")), "Host name not found."),
        (unreachable(ORIGIN, no_certificate()), "TLS certificate not accepted: self-signed certificate."),
        (unreachable(ORIGIN, ConnectionResetError("The connection was closed at once.")), "The connection was closed at once."),
        (unreachable(ORIGIN, OSError()), "OSError."),
        (connect_timed_out(ORIGIN, TIMEOUTS), "No connection within 3 s."),
        (timed_out(ORIGIN, TIMEOUTS, stream=False, begun=False), "No complete answer within 2.5 s."),
        (timed_out(ORIGIN, TIMEOUTS, stream=True, begun=False), "No answer within 2.5 s."),
        (timed_out(ORIGIN, TIMEOUTS, stream=True, begun=True), "Nothing for 30 s in the middle of the answer."),
        (broken_off(ORIGIN, begun=True), "The connection was closed in the middle of the answer."),
        (broken_off(ORIGIN, begun=False), "The connection was closed before the answer."),
        (too_large(ORIGIN, 10), "The answer is larger than 10 bytes."),
        (malformed(ORIGIN, "no status line"), "Malformed answer: no status line."),
    ],
)  # fmt: skip
def test_the_cause_is_a_sentence_without_the_address(problem: Problem, cause: str) -> None:
    assert cause_of(problem) == cause
    assert problem.message == f"{ORIGIN}: {cause}"
    told = cleaned(f"http://{target('m').connection.endpoint.host}: {cause}", target("m"))
    assert told == f"The backend `{target('m').connection.name}`: {cause}"


def test_what_has_no_address_is_its_own_cause() -> None:
    assert cause_of(Problem(Kind.UNAVAILABLE, "The gateway is shutting down.")) == "The gateway is shutting down."


@pytest.mark.parametrize(
    ("words", "told"),
    [("is it running?", "Is it running?"), ("no.", "No."), (" stop! ", "Stop!"), ("x", "X."), ("", "")],
)
def test_words_end_once(words: str, told: str) -> None:
    assert sentence(words) == told
