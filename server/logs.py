"""How the center's own log looks: one event a line, for people on a terminal and as JSON otherwise."""

import logging
import sys

import structlog
from stamina.instrumentation import set_on_retry_hooks


def configure(*, terminal: bool) -> None:
    """Send every log line of the process to standard error in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    formatter = structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[stream], force=True)
    set_on_retry_hooks([])  # what does not succeed in the end is told once, with why
