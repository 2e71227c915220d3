"""Runs the same work for several connections in parallel, so that one whose vendor doesn't answer delays no other."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog
from django.db import connection as db
from django.db import models

log = structlog.get_logger(__name__)
Row = TypeVar("Row", bound=models.Model)


def at_once(work: Callable[[Row], object], rows: Sequence[Row], *, most: int) -> None:
    """Run `work` for each row, at most `most` at a time, and return when all are done.

    A failure doesn't stop the others; the first error is raised at the end. SQLite has a single
    writer, so there they are done one after the other.
    """
    if len(rows) < 2 or db.vendor != "postgresql":
        errors = [_try(work, row) for row in rows]
    else:
        with ThreadPoolExecutor(min(most, len(rows)), thread_name_prefix="at-once") as pool:
            errors = list(pool.map(lambda row: _in_thread(work, row), rows))
    for error in errors:
        if error is not None:
            raise error


def _in_thread(work: Callable[[Row], object], row: Row) -> Exception | None:
    try:
        return _try(work, row)
    finally:
        # The thread ends soon, and its database connection with it.
        db.close()


def _try(work: Callable[[Row], object], row: Row) -> Exception | None:
    try:
        work(row)
    except Exception as error:
        log.exception("one of several failed unexpectedly", kind=row._meta.model_name, row=row.pk)
        return error
    return None
