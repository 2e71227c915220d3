"""What the demo's database holds."""

from integrations.models import Connection, Notice
from locations.models import Company


def counts() -> dict[str, int]:
    """Return how many companies, integrations and notices there are."""
    return {
        "companies": Company.objects.count(),
        "connections": Connection.objects.count(),
        "notices": Notice.objects.count(),
    }
