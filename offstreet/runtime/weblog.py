"""gunicorn's own log lines, with the secrets in their addresses masked as in every other line (`offstreet.logs`).

gunicorn writes past the project's handlers: what went wrong before or after Django, and the access log where it is on.
"""

from typing import Any

from gunicorn.glogging import Logger

from offstreet.logs import MaskingFormatter, mask_links


class GunicornLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with masked lines."""

    def setup(self, cfg: Any) -> None:
        """Set the handlers up as gunicorn does and put the mask around their formatters."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            for handler in log.handlers:
                if handler.formatter is not None:
                    handler.setFormatter(MaskingFormatter(handler.formatter))

    def atoms(self, *args: Any) -> dict[str, Any]:
        """Return what an access line is made of; masked here as well, for a syslog that has no handler of ours."""
        made: dict[str, Any] = super().atoms(*args)
        return {key: mask_links(value) if isinstance(value, str) else value for key, value in made.items()}
