"""Logging: structlog over the standard library, one line an event, plates masked.

What a vendor or a stranger wrote acts on nobody's terminal: control, format and direction characters are written out.

Invariant: no whole plate and no secret reaches a log. Code passes plates under the key `plate`; `mask_personal_data`
shortens them for every logger of the project, so that nobody has to remember to do it.

The address of an invitation, a test plate's answer, a status page or a password reset is itself a secret. Django, gunicorn
and tracebacks write addresses into messages of their own, so these are masked last, in the finished line
(`MaskingFormatter`, and `offstreet.runtime.weblog` for what gunicorn writes past the project's handlers).
"""

import logging
import re
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from locations.text import visible

_PLATE_KEYS = frozenset({"plate", "plates", "plate_typed", "vehicle_plate"})
_SECRET_KEYS = frozenset(
    {"client_secret", "access_token", "authorization", "password", "secret_key", "token"}
)

# What comes before a secret in an address; a test holds it to the address plan. Quoted slashes stand in `?next=…`.
_SLASH = r"(?:/|%2[fF])"
_SECRET_PATHS = ("invitations", "t", "s", "accounts/password/reset/key", "accounts/confirm-email")
_SECRET_PATH = re.compile(
    rf"""({_SLASH}(?:{"|".join(path.replace("/", _SLASH) for path in _SECRET_PATHS)}){_SLASH})"""
    r"""(?:(?!%2[fF])[^\s/?#"'<>])+"""
)
# What Django's signer makes, wherever it stands: a value, a full stop or colon, and 43 characters of signature.
_SIGNED = re.compile(r"[\w.:-]*[.:][A-Za-z0-9_-]{43}(?![\w-])")


def mask_links(text: str) -> str:
    """Return the text with the secret part of every address in it replaced: `/t/1.5f.0.Xyz/` → `/t/•••/`."""
    return _SIGNED.sub("•••", _SECRET_PATH.sub(r"\1•••", text))


class MaskingFormatter(logging.Formatter):
    """Formats as another formatter does and masks the finished line, with the traceback in it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked line."""
        return visible(mask_links(self.inner.format(record)))


def _line_formatter(**options: Any) -> MaskingFormatter:
    return MaskingFormatter(structlog.stdlib.ProcessorFormatter(**options))


def mask_plate(plate: str) -> str:
    """Return the plate with all but its first and last character replaced: `ABC1234` → `A•••••4`, `A1` → `••`."""
    if len(plate) <= 2:
        return "•" * len(plate)
    return f"{plate[0]}{'•' * (len(plate) - 2)}{plate[-1]}"


def mask_personal_data(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    """Mask the values of known personal or secret keys in one log event, however deep they lie."""
    return {key: _masked(key, value) for key, value in event_dict.items()}


def _masked(key: str, value: Any) -> Any:
    if key in _SECRET_KEYS:
        return "•••"
    if isinstance(value, dict):
        return {inner: _masked(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(key, item) for item in value]
    return mask_plate(value) if key in _PLATE_KEYS and isinstance(value, str) else value


def escape_values(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    """Write out line breaks and control characters in the values of one log event, so that none begins a line of its own."""
    return {
        key: visible(value, lines=False) if isinstance(value, str) and key != "event" else value
        for key, value in event_dict.items()
    }


def logging_config(*, level: str, as_json: bool) -> dict[str, Any]:
    """Return a `logging.config` dictionary and set structlog up to feed it."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_personal_data,
        escape_values,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": _line_formatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    renderer,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            # At DEBUG it writes out what a page was rendered with: plates, CSRF tokens, the arguments of secret addresses.
            "django.template": {"level": "INFO"},
            # Celery tells each message it receives at INFO: wake-ups come many a second and say nothing.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }
