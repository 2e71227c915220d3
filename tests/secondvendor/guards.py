"""Settings for Curbline with which production refuses to start."""

from collections.abc import Mapping
from typing import Any


def production_faults(settings: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each setting that is not fit for production."""
    if not settings.get("CURBLINE_KEY"):
        return ["CURBLINE_KEY is empty: Curbline would refuse every call."]
    return []
