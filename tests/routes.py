"""Every address of the project's URL configuration."""

from collections.abc import Iterable, Iterator

from django.urls import URLPattern, URLResolver, get_resolver


def all_routes(
    patterns: Iterable[URLPattern | URLResolver] | None = None, prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Return (route, name) of every address below `patterns`, by default of all; the name may be empty."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from all_routes(one.url_patterns, route)
        else:
            yield route, one.name or ""
