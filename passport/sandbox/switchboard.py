"""The page on which faults are switched on and off by hand, with what the sandbox has seen so far.

A form for what ``/sandbox/faults`` does; both go through the same :class:`FaultBook`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .faults import KINDS, PATHS, Fault
from .html import e, error_summary, options, page, read_form, see_other
from .problems import Problem
from .responses import Response
from .simulator import Simulator

PATH = "/faults"

_KIND_LABELS = {
    "delay": "Slow: answer late",
    "late": "Processed late: enforcement sees it later",
    "401": "401: token refused",
    "403": "403: operator not authorised",
    "429": "429: too many requests",
    "5xx": "5xx: server error",
    "html": "A proxy's HTML page",
    "drop": "Connection dropped, nothing processed",
    "broken_json": "Broken JSON",
    "wrong_json": "JSON of a wrong shape",
    "huge_body": "A body of 10 MB",
    "endless_body": "A body that never ends",
    "truncated": "Answer cut off",
    "answer_lost": "Processed, but the answer is lost",
}
_PATH_LABELS = {
    "all": "every path",
    "token": "access token",
    "zones": "zones",
    "events": "events",
    "rights": "parking rights",
}
_NUMBERS = {
    "times": ("Times", "empty: until switched off", int),
    "probability": ("Chance in %", "of requests that meet it", float),
    "delay_s": ("Delay in s", "empty: the kind's own", float),
    "status": ("Status", "for 5xx, HTML, JSON", int),
    "retry_after_s": ("Retry-After in s", "for 429 and 5xx", float),
}


def show(
    simulator: Simulator, now: datetime, fields: Mapping[str, str] | None = None, message: str = ""
) -> Response:
    """The page; `fields` and `message` come back from a form that was not accepted."""
    body = (
        "<h1>Faults</h1>"
        f"{_active(simulator)}{_form(simulator, fields or {}, message)}{_operators(simulator)}{_seen(simulator, now)}"
    )
    return page(PATH, "Faults", body, status=400 if message else 200)


def act(simulator: Simulator, headers: Mapping[str, str], body: bytes, now: datetime) -> Response:
    """Carry out one of the page's forms, told apart by their `do`."""
    fields: dict[str, str] = {}
    try:
        fields = read_form(headers, body)
        match fields.get("do"):
            case "add":
                simulator.faults.add(_document(fields))
            case "clear":
                simulator.faults.clear(int(fields["id"]) if fields.get("id") else None)
            case "authorise" | "withdraw" as wish:
                operator = simulator.directory.operators[fields.get("operator", "")]
                edit = {"do": "operator", "operator_id": operator.id, "authorised": wish == "authorise"}
                simulator.change_directory(edit)
            case "expire":
                simulator.expire_tokens()
            case _:
                raise ValueError("this form is not known")
    except Problem as problem:
        return show(simulator, now, fields, problem.detail)
    except KeyError:
        return show(simulator, now, fields, "There is no such operator.")
    except ValueError as error:
        return show(simulator, now, fields, str(error))
    return see_other(PATH)


def _document(fields: Mapping[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {"kind": fields.get("kind"), "path": fields.get("path") or "all"}
    if fields.get("operator_id"):
        document["operator_id"] = fields["operator_id"]
    for name, (label, _, kind) in _NUMBERS.items():
        text = fields.get(name, "")
        if not text:
            continue
        try:
            document[name] = kind(text)
        except ValueError:
            raise ValueError(f"{label} must be a number, not {text[:20]}") from None
    if "probability" in document:
        document["probability"] /= 100
    return document


def _active(simulator: Simulator) -> str:
    faults = simulator.faults.faults
    if not faults:
        return '<p class="note good"><span aria-hidden="true">✓</span> No fault is switched on: Passport behaves.</p>'
    rows = "".join(_row(simulator, fault) for fault in faults)
    return (
        f'<section class="card"><div class="title"><h2>Switched on</h2>{_button("clear", "Switch all off")}</div>'
        f'<ul class="rows">{rows}</ul></section>'
    )


def _row(simulator: Simulator, fault: Fault) -> str:
    operator = simulator.directory.operators.get(fault.operator_id or "")
    facts = [_PATH_LABELS[fault.path], operator.name if operator else fault.operator_id or "every operator"]
    if fault.probability < 1:
        facts.append(f"{fault.probability:.0%} of requests")
    if fault.delay_s:
        facts.append(f"{fault.delay_s:g} s")
    if fault.kind in ("5xx", "html"):
        facts.append(f"status {fault.status}")
    if fault.retry_after_s is not None:
        facts.append(f"Retry-After {fault.retry_after_s:g} s")
    facts.append("until switched off" if fault.times is None else f"{fault.times} more")
    facts.append(f"met {fault.fired} times")
    return (
        f"<li><div><strong>{e(_KIND_LABELS[fault.kind])}</strong>"
        f'<p class="hint">{e(" · ".join(facts))}</p></div>'
        f"{_button('clear', 'Switch off', id=fault.id, about=_KIND_LABELS[fault.kind])}</li>"
    )


def _button(do: str, label: str, *, about: str = "", **hidden: object) -> str:
    inputs = "".join(
        f'<input type="hidden" name="{e(name)}" value="{e(value)}">' for name, value in hidden.items()
    )
    spoken = f'<span class="unseen"> {e(about)}</span>' if about else ""
    return (
        f'<form method="post" action="{PATH}"><input type="hidden" name="do" value="{e(do)}">{inputs}'
        f'<button type="submit">{e(label)}{spoken}</button></form>'
    )


def _form(simulator: Simulator, fields: Mapping[str, str], message: str) -> str:
    operators = [("", "every operator")]
    operators += [
        (operator.id, operator.name or operator.id) for operator in simulator.directory.operators.values()
    ]
    numbers = "".join(
        f'<div class="field"><label for="{name}">{label} <span class="hint">{hint}</span></label>'
        f'<input id="{name}" name="{name}" inputmode="decimal" value="{e(fields.get(name, ""))}"></div>'
        for name, (label, hint, _) in _NUMBERS.items()
    )
    return (
        f'<form method="post" action="{PATH}" class="card form"><h2>Switch one on</h2>{error_summary(message)}'
        '<input type="hidden" name="do" value="add">'
        '<div class="field"><label for="kind">What goes wrong</label><select id="kind" name="kind">'
        f"{options([(kind, _KIND_LABELS[kind]) for kind in KINDS], fields.get('kind', ''))}</select></div>"
        '<div class="pair"><div class="field"><label for="operator_id">For</label>'
        '<select id="operator_id" name="operator_id">'
        f"{options(operators, fields.get('operator_id', ''))}</select></div>"
        '<div class="field"><label for="path">On</label><select id="path" name="path">'
        f"{options([(path, _PATH_LABELS[path]) for path in PATHS], fields.get('path', ''))}</select></div></div>"
        f'<div class="grid">{numbers}</div><button type="submit" class="primary">Switch on</button></form>'
    )


def _operators(simulator: Simulator) -> str:
    rows = ""
    for operator in simulator.directory.operators.values():
        if operator.authorised:
            badge = '<span class="badge good"><span aria-hidden="true">✓</span> authorised</span>'
            button = _button("withdraw", "Withdraw", operator=operator.id, about=operator.name)
        else:
            badge = '<span class="badge bad"><span aria-hidden="true">✕</span> not authorised</span>'
            button = _button("authorise", "Authorise", operator=operator.id, about=operator.name)
        rows += (
            f"<li><div><strong>{e(operator.name)}</strong> {badge}"
            f'<p class="hint">{len(operator.zones)} zones · <span class="mono">{e(operator.id)}</span></p></div>'
            f"{button}</li>"
        )
    return (
        '<section class="card"><div class="title"><h2>Operators</h2>'
        f'{_button("expire", "Expire all tokens")}</div><ul class="rows">{rows}</ul></section>'
    )


def _seen(simulator: Simulator, now: datetime) -> str:
    summary = simulator.traffic.summary()
    rights = sum(
        1 for operator in simulator.directory.operators for _ in simulator.sessions.visible(operator, now)
    )
    answers = [
        (f"{_PATH_LABELS.get(path, path)}: {status}", count)
        for path, statuses in summary["requests"].items()
        for status, count in statuses.items()
    ]
    figures = [
        ("Sessions", len(simulator.sessions)),
        ("Parking rights", rights),
        *answers,
        *((f"breach: {name.replace('_', ' ')}", count) for name, count in summary["breaches"].items()),
    ]
    lines = "".join(f"<div><dt>{e(label)}</dt><dd>{count:,}</dd></div>" for label, count in figures)
    return f'<section class="card"><h2>Seen so far</h2><dl class="figures">{lines}</dl></section>'
