"""What of Passport's settings production refuses to start with (`offstreet.guards`)."""

from collections.abc import Mapping
from typing import Any

from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET


def production_faults(settings: Mapping[str, Any]) -> list[str]:
    """Return one sentence per setting that is unfit for production."""
    faults = []
    if not settings["PASSPORT_BASE_URL"].startswith("https://"):
        faults.append("PASSPORT_BASE_URL must be an https:// address: plates and secrets travel on it.")
    for name, sandbox in (
        ("PASSPORT_CLIENT_ID", SANDBOX_CLIENT_ID),
        ("PASSPORT_CLIENT_SECRET", SANDBOX_CLIENT_SECRET),
    ):
        if not settings[name]:
            faults.append(f"{name} is empty: Passport would refuse every call.")
        elif settings[name] == sandbox:
            faults.append(f"{name} is the sandbox's: no officer would see a registration.")
    return faults
