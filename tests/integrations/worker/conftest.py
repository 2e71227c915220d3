"""These tests' `world` is on the sandbox's Passport."""

from tests.integrations.on_passport import world

__all__ = ["world"]
