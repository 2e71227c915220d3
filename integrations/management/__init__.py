"""Commands for scripts and for support."""
