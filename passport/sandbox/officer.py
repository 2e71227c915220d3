"""The page that plays the officer: type a plate, see whether it may stand here.

It reads what enforcement sees, not what is true: a registration that is processed late is not there yet. Plates are
posted, so that they stay out of addresses and logs.
"""

from collections.abc import Mapping
from datetime import datetime

from .formats import plate_key
from .html import e, error_summary, moment, options, page, read_form
from .problems import Problem
from .responses import Response
from .sessions import Session
from .simulator import Simulator
from .zones import Operator, Zone

PATH = "/"
_PLATE_CHARS = 20
_ZONE_CHARS = 40


def show(simulator: Simulator) -> Response:
    """The empty form."""
    return page(PATH, "Officer", _form(simulator, {}))


def look_up(simulator: Simulator, headers: Mapping[str, str], body: bytes, now: datetime) -> Response:
    """The form again, with what enforcement sees for the plate below it."""
    fields: dict[str, str] = {}
    try:
        fields = read_form(headers, body)
        operator = _operator(simulator, fields)
        plate = _plate(fields)
        zone = _zone(operator, fields.get("zone", ""))
    except Problem as problem:
        form = _form(simulator, fields, problem)
        return page(PATH, "Officer", form, status=problem.status)
    rights = list(simulator.sessions.visible(operator.id, now, plate=plate))
    found = _answer(operator, zone, plate, rights, now)
    return page(PATH, f"{plate.upper()}", _form(simulator, fields) + found)


def _operator(simulator: Simulator, fields: dict[str, str]) -> Operator:
    operator = simulator.directory.operators.get(fields.get("operator", "").lower())
    if operator is None:
        raise Problem(400, "validation_error", "Choose an operator from the list.", field="operator")
    return operator


def _plate(fields: dict[str, str]) -> str:
    plate = fields.get("plate", "")
    if not plate_key(plate):
        raise Problem(400, "validation_error", "Type the plate as it is on the car.", field="plate")
    if len(plate) > _PLATE_CHARS:
        raise Problem(
            400, "validation_error", f"A plate has at most {_PLATE_CHARS} characters.", field="plate"
        )
    return plate


def _zone(operator: Operator, number: str) -> Zone | None:
    if not number:
        return None
    number = number.partition(" · ")[0].strip()
    zones = operator.zones.values()
    for zone in zones:
        if zone.number == number:
            return zone
    near = [zone.number for zone in zones if zone.number.casefold() == number.casefold()]
    hint = f" Capitals count: there is {' and '.join(near)}." if near else ""
    raise Problem(
        400, "validation_error", f"{operator.name} has no zone {number[:_ZONE_CHARS]}.{hint}", field="zone"
    )


def _form(simulator: Simulator, fields: dict[str, str], problem: Problem | None = None) -> str:
    operators = [
        (operator.id, operator.name or operator.id) for operator in simulator.directory.operators.values()
    ]
    wrong = str(problem.extra.get("field", "")) if problem is not None else ""

    def state(field: str) -> str:
        return ' aria-invalid="true" aria-describedby="problem"' if wrong == field else ""

    message = error_summary(problem.detail if problem is not None else "")
    return (
        "<h1>Is this car allowed here?</h1>"
        f'<form method="post" action="{PATH}" class="card form" autocomplete="off"><div id="problem">{message}</div>'
        '<div class="field"><label for="plate">Plate</label>'
        f'<input id="plate" name="plate" class="plate-input" required maxlength="{_PLATE_CHARS}"'
        f' value="{e(fields.get("plate", ""))}" autocapitalize="characters" spellcheck="false"'
        f"{state('plate')}></div>"
        '<div class="pair"><div class="field"><label for="operator">Operator</label>'
        f'<select id="operator" name="operator"{state("operator")}>'
        f"{options(operators, fields.get('operator', ''))}</select></div>"
        '<div class="field"><label for="zone">Zone number <span class="hint">optional</span></label>'
        f'<input id="zone" name="zone" list="zones" maxlength="{_ZONE_CHARS}" spellcheck="false"'
        f' value="{e(fields.get("zone", ""))}"{state("zone")}>'
        f'<datalist id="zones">{_zone_choices(simulator)}</datalist></div></div>'
        '<button type="submit" class="primary">Look up</button></form>'
    )


def _zone_choices(simulator: Simulator) -> str:
    return "".join(
        f'<option value="{e(zone.number)}">{e(zone.name)}, {e(operator.name)}</option>'
        for operator in simulator.directory.operators.values()
        for zone in operator.sorted_zones()
    )


def _answer(operator: Operator, zone: Zone | None, plate: str, rights: list[Session], now: datetime) -> str:
    """The result: rights in the zone that was asked for first, then those elsewhere."""
    here = [right for right in rights if zone is None or right.zone_id == zone.id]
    elsewhere = [right for right in rights if right not in here]
    here.sort(key=lambda right: right.start)
    valid = [right for right in here if right.start <= now]
    later = [right for right in here if right.start > now]
    where = f" in zone {e(zone.number)}" if zone is not None else ""
    if valid:
        verdict = f'<p class="verdict good"><span aria-hidden="true">✓</span> Valid session{where}</p>'
    else:
        verdict = f'<p class="verdict bad"><span aria-hidden="true">✕</span> No valid session{where}</p>'
    cards = "".join(_card(operator, right, now) for right in valid + later)
    if elsewhere:
        cards += "<h2>In another zone</h2>" + "".join(_card(operator, right, now) for right in elsewhere)
    return (
        '<section aria-label="Result" class="result" role="status">'
        f'<p class="plate">{e(plate.upper())}</p>{verdict}'
        f'<p class="hint centre">{e(operator.name)} · asked {moment(now)}</p></section>{cards}'
    )


def _card(operator: Operator, right: Session, now: datetime) -> str:
    zone = operator.zones.get(right.zone_id) or operator.gone.get(right.zone_id)
    shown_zone = f"<strong>{e(zone.number)}</strong> · {e(zone.name)}" if zone else e(right.zone_id)
    if right.start > now:
        badge = (
            '<span class="badge wait"><span aria-hidden="true">◷</span> '
            f"begins {moment(right.start)}, not valid yet</span>"
        )
    else:
        badge = '<span class="badge good"><span aria-hidden="true">✓</span> valid now</span>'
    session = right.id if right.reference else "a driver's own, not the partner's"
    rows = [
        ("Plate", f'<span class="mono">{e(right.plate)}</span>'),
        ("State", e(right.state or "not given")),
        ("Zone", shown_zone),
        ("From", moment(right.start)),
        ("Until", moment(right.seen_end)),
        ("Session", f'<span class="mono small">{e(session)}</span>'),
    ]
    if right.space is not None:
        rows.insert(3, ("Space", e(right.space)))
    lines = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in rows)
    return f'<article class="card right"><p class="state">{badge}</p><dl>{lines}</dl></article>'
