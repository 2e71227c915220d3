"""What is logged while a test runs, written as production writes it."""

import io
import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from offstreet.logs import logging_config


@contextmanager
def production_logs(level: str) -> Iterator[io.StringIO]:
    """Log at `level` and above as production does, into the text that is yielded; afterwards as before."""
    root = logging.getLogger()
    handlers, was, config = root.handlers[:], root.level, structlog.get_config()
    logging.config.dictConfig(logging_config(level=level, as_json=True))
    stream = io.StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    try:
        yield stream
    finally:
        root.handlers[:], root.level = handlers, was
        structlog.configure(**config)
