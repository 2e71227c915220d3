"""A process that saves on request and reports how long each save took: what a web process does, without the web server.

    python -m tests.faults.saver        reads one JSON document a line, answers one a line

`{"do": "add", "company": "university", "plate": "ABC1", "begins_h": 0}` → `{"id": 1, "ms": 4.2}`; further `change` (`id`, and
`plate` or `hours`), `cancel` (`id`), `churn` (add, change, cancel at once), `import` (`company`, `rows`, `begins_h`), and
`saves` (`count` single saves; `ms` is a list). If the database goes away, it tries once more, as a person would.
"""

import json
import os
import sys
import time
from datetime import timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")

import django

django.setup()

from django.db import DatabaseError, InterfaceError, connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from locations import services  # noqa: E402
from locations.models import Location, Permit  # noqa: E402


def draft(order: dict[str, Any], plate: str) -> services.PermitDraft:
    start = timezone.now() + timedelta(hours=order.get("begins_h", 0))
    place = Location.objects.filter(company__slug=order["company"]).order_by("pk")[order.get("place", 0)]
    return services.PermitDraft(place, plate, "US-NC", start, start + timedelta(hours=48))


def timed(call: Any, *args: Any, **kwargs: Any) -> tuple[Any, float]:
    began = time.monotonic()
    answer = call(*args, **kwargs)
    return answer, (time.monotonic() - began) * 1000


def obey(order: dict[str, Any]) -> dict[str, Any]:
    match order["do"]:
        case "add":
            permit, ms = timed(services.register_permit, draft=draft(order, order["plate"]))
            return {"id": permit.pk, "ms": ms}
        case "saves":
            drafts = [draft(order, f"{order['plate']}{number}") for number in range(order["count"])]
            return {"ms": [timed(services.register_permit, draft=each)[1] for each in drafts]}
        case "change":
            permit = Permit.objects.get(pk=order["id"])
            changes: dict[str, Any] = {"plate": order["plate"]} if "plate" in order else {}
            if "hours" in order:
                changes["end"] = timezone.now() + timedelta(hours=order["hours"])
            return {"ms": timed(services.change_permit, permit=permit, **changes)[1]}
        case "cancel":
            return {"ms": timed(services.cancel_permit, permit=Permit.objects.get(pk=order["id"]))[1]}
        case "churn":
            began = time.monotonic()
            permit = services.register_permit(draft=draft(order, order["plate"]))
            services.change_permit(permit=permit, plate=order["plate"] + "X")
            services.cancel_permit(permit=permit)
            return {"id": permit.pk, "ms": (time.monotonic() - began) * 1000}
        case "import":
            drafts = [draft(order, f"{order['plate']}{number}") for number in range(order["rows"])]
            return {"ms": timed(services.register_permits, drafts=drafts)[1]}
    raise ValueError(order)


def main() -> None:
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = obey(order)
        except (DatabaseError, InterfaceError):
            connection.close()
            time.sleep(0.2)
            answer = obey(order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
