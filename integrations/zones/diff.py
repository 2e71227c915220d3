"""What a refresh of zones found: the vendor's list, validated, and how it differs from the table. Pure.

A list may leave a field out or give null for it; that is no change, and the field keeps its last value. A zone is
identified by the vendor's id alone. Its number and name are kept character by character: a number that changes only in
case is reported as such, since a location's integration name is that number and must match exactly.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db.models import CharField

from integrations.models import Zone
from integrations.vendors.protocol import ZoneSeen

# A pull that would mark more than this share of the listed zones as missing is held.
HELD_SHARE = 0.5
# Documents nested more deeply than this are no zones; what lies below is left out.
MAX_DEPTH = 40
# A change of these alone is kept, and not worth telling.
SILENT_FIELDS = frozenset({"updated_at"})

KINDS = ("added", "renamed", "case_changed", "changed", "gone", "back")


@dataclass(frozen=True, slots=True)
class ZoneListing:
    """A vendor's list for an operator, after its guards; `ignored` counts what was left out, by reason."""

    zones: list[ZoneSeen]
    ignored: dict[str, int]
    operator_id: str


def clean_listing(listed: Iterable[ZoneSeen], operator_id: str) -> ZoneListing:
    """Return the zones that can be kept.

    Left out and counted: a zone of another operator (`foreign`), one without a usable id (`unusable`), and one whose
    id came before (`duplicate`: the first stands). Texts that are too long are cut, the whole stays in `raw`; signs
    that a database can't keep are replaced.
    """
    zones: dict[str, ZoneSeen] = {}
    ignored: dict[str, int] = {}

    def ignore(reason: str) -> None:
        ignored[reason] = ignored.get(reason, 0) + 1

    for seen in listed:
        owner = seen.raw.get("operator_id")
        remote_id = _one_form(seen.remote_id)
        if isinstance(owner, str) and owner.strip().lower() != operator_id.lower():
            ignore("foreign")
        elif not remote_id or len(remote_id) > _longest("remote_id"):
            ignore("unusable")
        elif remote_id in zones:
            ignore("duplicate")
        else:
            zones[remote_id] = replace(
                seen,
                remote_id=remote_id,
                number=_cut(seen.number, _longest("number")),
                name=_cut(seen.name, _longest("name")),
                session_type=_cut(seen.session_type, _longest("session_type")),
                raw=_storable(seen.raw),
            )
    return ZoneListing(list(zones.values()), ignored, operator_id)


def _longest(column: str) -> int:
    text = Zone._meta.get_field(column)
    assert isinstance(text, CharField)
    assert text.max_length is not None
    return text.max_length


def _one_form(remote_id: str) -> str:
    """A UUID is the same in any case and form; any other id is kept as it is."""
    text = _storable_text(remote_id).strip()
    try:
        return str(UUID(text))
    except ValueError:
        return text


def _cut(text: str, most: int) -> str:
    text = _storable_text(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _storable_text(text: str) -> str:
    """PostgreSQL keeps neither NUL nor half a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _storable(value: Any, depth: int = 0) -> Any:
    """Return a JSON value without what a database can't keep."""
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            return None
        return {_storable_text(str(key)): _storable(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return None if depth >= MAX_DEPTH else [_storable(part, depth + 1) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@dataclass(frozen=True, slots=True)
class Known:
    """A zone as the table has it."""

    pk: int
    remote_id: str
    number: str
    name: str
    session_type: str
    raw: Mapping[str, Any]
    missing: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One zone that is not as it was: `known` is None for a new one, `seen` for one that is gone."""

    known: Known | None
    seen: ZoneSeen | None
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Diff:
    """What a pull found. A zone is in one of the lists at the most; `silent` holds changes not worth telling."""

    added: list[Change] = field(default_factory=list)
    renamed: list[Change] = field(default_factory=list)
    case_changed: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    gone: list[Change] = field(default_factory=list)
    back: list[Change] = field(default_factory=list)
    silent: list[Change] = field(default_factory=list)
    listed_before: int = 0

    def of(self, kind: str) -> list[Change]:
        """Return the changes of one of `KINDS`."""
        changes: list[Change] = getattr(self, kind)
        return changes

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to tell."""
        return not any(self.of(kind) for kind in KINDS)


def diff(known: Iterable[Known], listed: Iterable[ZoneSeen], *, zones_have_case: bool = True) -> Diff:
    """Return what differs between the table and a vendor's (cleaned) list.

    Without `zones_have_case` a number that is written in another case is told as a new name, not as another zone.
    """
    result = Diff()
    unseen = {zone.remote_id: zone for zone in known}
    result.listed_before = sum(not zone.missing for zone in unseen.values())
    for seen in listed:
        before = unseen.pop(seen.remote_id, None)
        if before is None:
            result.added.append(Change(None, seen))
            continue
        seen = _completed(before, seen)
        change = Change(before, seen, _changed_fields(before, seen))
        if before.missing:
            result.back.append(change)
        elif (before.number, before.name) != (seen.number, seen.name):
            same_letters = _folded(before.number, before.name) == _folded(seen.number, seen.name)
            (result.case_changed if same_letters and zones_have_case else result.renamed).append(change)
        elif set(change.fields) - SILENT_FIELDS:
            result.changed.append(change)
        elif change.fields:
            result.silent.append(change)
    result.gone = [Change(zone, None) for zone in unseen.values() if not zone.missing]
    return result


def loses_too_many(found: Diff, allowed: Collection[str] = ()) -> bool:
    """Whether more than `HELD_SHARE` of the listed zones would go, not counting the remote ids in `allowed`."""
    going = sum(change.known is not None and change.known.remote_id not in allowed for change in found.gone)
    return going > HELD_SHARE * found.listed_before


def _completed(before: Known, seen: ZoneSeen) -> ZoneSeen:
    """Return a listed zone with the last values of what its document leaves out."""
    told = {name: value for name, value in seen.raw.items() if value is not None}
    return replace(
        seen,
        name=seen.name or before.name,
        session_type=seen.session_type or before.session_type,
        raw={**before.raw, **told},
    )


def _folded(number: str, name: str) -> tuple[str, str]:
    return number.casefold(), name.casefold()


def _changed_fields(before: Known, seen: ZoneSeen) -> tuple[str, ...]:
    fields = {
        name
        for name in before.raw.keys() | seen.raw.keys()
        if name not in before.raw or name not in seen.raw or before.raw[name] != seen.raw[name]
    }
    fields |= {
        name for name in ("number", "name", "session_type") if getattr(before, name) != getattr(seen, name)
    }
    return tuple(sorted(fields))
