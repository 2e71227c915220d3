"""The result of a storm: both sides compared row by row, and the sandbox's own log of every session."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from integrations.delivery.session_id import begins_ours, read_session_id
from tests.servers import Stack

# If the rights of others have an id, it begins like this.
FOREIGN = "foreign"
WANTED = """
SELECT z.remote_id AS zone, p.plate AS plate, p.subdivision AS state, p.start AS start, p."end" AS until,
       p.space_number AS space, r.id AS registration, r.state AS registration_state, r.error AS error
FROM locations_permit p
JOIN integrations_zonemapping m ON m.location_id = p.location_id JOIN integrations_zone z ON z.id = m.zone_id
LEFT JOIN integrations_registration r ON r.permit_id = p.id AND r.connection_id = z.connection_id
WHERE p.status = 'active' AND p."end" > %s
"""


@dataclass
class Report:
    """What a storm did, and its result."""

    seed: int
    edits: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    stale: int = 0
    doubled: int = 0
    refused: int = 0
    unexplained: int = 0
    sessions: int = 0
    met: dict[str, int] = field(default_factory=dict)
    breaches: dict[str, int] = field(default_factory=dict)
    deadlocks: int = 0
    slowest_save_ms: int = 0
    converge_s: float = 0.0
    storm_s: float = 0.0
    rights: int = 0
    foreign: int = 0
    notes: list[str] = field(default_factory=list)

    def lines(self) -> str:
        """Return the report as text."""
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"edits made       {self.edits}\nfaults injected  {self.faults.total()} ({faults})\n"
            f"requests that met  {sum(self.met.values())} ({', '.join(f'{k} {n}' for k, n in sorted(self.met.items()))})\n"
            f"rights listed    {self.rights}, and {self.foreign} of others\n"
            f"lost             {self.lost}\nstale            {self.stale}\n"
            f"doubled          {self.doubled} (of {self.sessions} sessions)\n"
            f"refused, shown   {self.refused} ({self.unexplained} without a reason)\n"
            f"breaches         {self.breaches or 'none'}\ndeadlocks        {self.deadlocks}\n"
            f"slowest save     {self.slowest_save_ms} ms\nstorm            {self.storm_s:.0f} s\n"
            f"time to converge {self.converge_s:.1f} s\nseed             {self.seed}\n"
            + "\n".join(self.notes)
        )


def compare(stack: Stack, report: Report) -> bool:
    """Compare both sides, add the result to `report`, and return whether they are equal and nothing is under way."""
    now = datetime.now(UTC)
    at: Any = now if stack.database is not None else now.replace(tzinfo=None).isoformat(" ")
    rows = stack.query(WANTED if stack.database is not None else WANTED.replace("%s", "?"), [at])
    wanted: Counter[tuple[str, ...]] = Counter(
        (row["zone"], row["plate"], row["state"], _ms(row["start"]), _ms(row["until"]), row["space"] or "")
        for row in rows
    )
    listed: Counter[tuple[str, ...]] = Counter()
    report.foreign = 0
    for right in stack.sandbox.rights():
        if right.get("reference_id", FOREIGN).startswith(FOREIGN):
            report.foreign += 1
            continue
        vehicle = right["vehicle"]
        key = (
            right["zone_id"],
            vehicle["vehicle_plate"],
            vehicle["vehicle_state"],
            _ms(right["start_time"]),
            _ms(right["end_time"]),
            right["space_number"] or "",
        )
        listed[key] += 1
    refused = [row for row in rows if row["registration_state"] == "refused"]
    report.rights, report.refused = listed.total(), len(refused)
    lost, stale = wanted - listed, listed - wanted
    report.lost, report.stale = lost.total(), stale.total()
    report.unexplained = sum(not row["error"] for row in refused)
    report.notes = [f"lost: {key}" for key in list(lost)[:5]] + [f"stale: {key}" for key in list(stale)[:5]]
    report.notes += [f"refused: {row['error']}" for row in refused[:5]]
    unsettled = stack.query(
        "SELECT count(*) AS n FROM integrations_registration"
        " WHERE state <> 'done' OR lease IS NOT NULL OR intent IS NOT NULL"
    )[0]["n"]
    if unsettled:
        report.notes.append(f"not settled: {unsettled}")
    return not (lost or stale or unsettled)


def _ms(value: Any) -> str:
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def doubled(sessions: list[dict[str, Any]]) -> list[str]:
    """Return what was doubled, one line each, from the sandbox's sessions with their logs. Pure.

    A session's id says which permit sync it belongs to, and which of its sessions it is (`integrations.delivery.session_id`).
    Others may begin beside one that a fault registered with another plate or zone, which refuses its stop until a comparison
    finds what it is, and beside one whose stop was accepted and forgotten: vehicles must not wait for that. It has to be
    ended like all, and is stale while it is not.
    """
    found: list[str] = []
    spans: dict[str, list[tuple[str, str, int, str]]] = defaultdict(list)
    for session in sessions:
        if session["session_id"].startswith(FOREIGN):
            continue
        key = session["session_id"].split("-")[1]
        own = read_session_id(key, session["session_id"])
        assert own is not None, session["session_id"]
        log = session["events"]
        begun = [event["received_at"] for event in log if event["outcome"] == "created"]
        ended = [event["received_at"] for event in log if event["outcome"] == "stopped"]
        if len(begun) > 1:
            found.append(f"begun {len(begun)} times: {session['session_id']}")
        if ended and any(
            e["received_at"] > ended[0] and e["outcome"] in ("created", "extended") for e in log
        ):
            found.append(f"went on after its stop: {session['session_id']}")
        span = (
            min(begun, default=""),
            ended[0] if ended else "9",
            own.number,
            session.get("misapplied_at") or "9",
        )
        spans[f"{begins_ours(key)}{own.permit_sync_id}"].append(span)
    for permit_sync, mine in spans.items():
        for place, (begun_at, _ended_at, number, _misapplied_at) in enumerate(mine):
            others = [one for other, one in enumerate(mine) if other != place]
            older = [n for start, end, n, wrong in others if start <= begun_at < min(end, wrong)]
            # The one that it replaces: of a start that was accepted and forgotten there is no session.
            replaced = max((n for _, _, n, _ in others if n < number), default=0)
            if len(older) > 1 or any(n == number or n < replaced for n in older):
                found.append(f"begun while others were open: {permit_sync}-{number}, beside {older}: {mine}")
        if sum(ended_at == "9" for _, ended_at, _, _ in mine) > 1:
            found.append(f"open twice at the end: {permit_sync}")
    return found
