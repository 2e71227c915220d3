"""The overview: is enforcement seeing everything?"""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from integrations import mapping_board
from locations.access import CompanyRequest, company_view
from locations.pages import render_page


@company_view()
@require_safe
def overview(request: CompanyRequest) -> HttpResponse:
    """Answer in one sentence, then show what waits and for whom."""
    context = {"company": request.company, "tally": mapping_board.tally(request.company)}
    return render_page(request, "integrations/overview.html", context)
