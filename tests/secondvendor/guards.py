"""What of Curbline's settings production refuses to start with."""

from collections.abc import Mapping
from typing import Any


def production_faults(settings: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each setting that is unfit for production."""
    if not settings.get("CURBLINE_KEY"):
        return ["CURBLINE_KEY is empty: Curbline would refuse every call."]
    return []
