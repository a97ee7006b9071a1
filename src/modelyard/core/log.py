"""Logs go to standard error: readable lines on a terminal, JSON otherwise. No line holds a body, a key or a header."""

import asyncio
import logging
import sys

import structlog

from modelyard.core import raw


def configure(level: str) -> None:
    """Set up logging for the process, ours and that of the libraries."""
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if not terminal else "%H:%M:%S", utc=not terminal),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if terminal
        else structlog.processors.JSONRenderer(serializer=lambda event, **_: raw.encode(event).decode())
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.getLogger("uvicorn.error").addFilter(_not_cancelled)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.WARNING))


def _not_cancelled(record: logging.LogRecord) -> bool:
    """False for the traceback of a call that was cut because the time to drain is over: the ledger has it."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger
