"""What all admin pages have in common: support only, nothing is deleted, and a table with a million rows opens at once.

Counting a large table is slow, so `CappedPaginator` counts no further than anybody pages, and facets are never counted.
Tables that grow with companies are searched as Django does. Those that grow with permits or with time (`LookedUpAdmin`)
are looked up instead: what was typed is found in an index first, and what was found is listed; they have no filter and
no sorting that would read them whole. What tells what happened (`EvidenceAdmin`) is read-only; what a form saves goes
through the services.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from itertools import islice
from typing import Any, ClassVar

from allauth.account.decorators import reauthentication_required
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import DataError, IntegrityError, transaction
from django.db.models import ForeignKey, Model, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from simple_history.admin import SimpleHistoryAdmin

from locations import searches, security_log
from locations.models import User
from locations.pages import read_key
from locations.text import tidy

# Nobody pages further than this; a search finds the rest.
COUNTED_ROWS = 5_000
ROWS_PER_PAGE = 50
# A look-up shows at most so many rows.
FOUND_ROWS = 1_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages through the first `COUNTED_ROWS` rows only."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, as far as they are counted."""
        rows = self.object_list
        return rows[:COUNTED_ROWS].count() if isinstance(rows, QuerySet) else super().count


def is_support(request: HttpRequest) -> bool:
    """Whether the request is made by support."""
    return isinstance(request.user, User) and request.user.is_support


def is_search(request: HttpRequest) -> bool:
    """Whether the request is what the search box of a list sent (`templates/admin/search_form.html`)."""
    return request.method == "POST" and "_search" in request.POST


def actor_of(request: HttpRequest) -> User:
    """Return the person who made the request, for the services."""
    assert isinstance(request.user, User)
    return request.user


class SearchedList(ChangeList):
    """A list whose address holds a search id (`locations.searches`) in place of what was typed.

    Where the address can't be read (`unreadable`), it holds nothing, for actions on "all" too.
    """

    unreadable = False

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Search for what the id stands for, and show that in the box; links keep the id."""
        self.query = searches.from_id(self.params.get(SEARCH_VAR, ""), actor_of(request))
        found: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        return found.none() if self.unreadable else found


class KeySelect(AutocompleteSelect):
    """A choice by key; what can be no key (a form may hold any number) chooses nothing.

    Django looks up whatever it is given, and a database refuses a number that its column can't hold.
    """

    def optgroups(self, name: str, value: Sequence[str], attrs: dict[str, Any] | None = None) -> list[Any]:
        """Return the choices to show: those of `value` that may be there."""
        keys = [key for key in value if read_key(str(key)) is not None]
        groups: list[Any] = super().optgroups(name, keys, attrs)
        return groups


class ChoosesByKey(admin.options.BaseModelAdmin):  # type: ignore[type-arg]
    """Pages and inline tables whose searched choices are `KeySelect`."""

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField | None:  # type: ignore[type-arg]
        """See the class's text."""
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = KeySelect(db_field, self.admin_site, using=kwargs.get("using"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class SupportAdmin(ChoosesByKey, admin.ModelAdmin):  # type: ignore[type-arg]
    """A model's pages for support; see the module's text."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    list_per_page = ROWS_PER_PAGE
    list_max_show_all = 0

    def _note_look(self, request: HttpRequest, object_id: str) -> None:
        if is_support(request):
            thing = f"{self.opts.label_lower} {read_key(object_id) or ''}".strip()
            security_log.support_looked(request, "admin_read", f"admin {thing}", thing=thing)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Support sees all models."""
        return is_support(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Support sees all rows."""
        return is_support(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Support adds what has a form."""
        return is_support(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Support changes what has a form."""
        return is_support(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is deleted: what was must stay explainable."""
        return False

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """List the rows; where a filter or a page in the address can't be read, none of them, and say so.

        Django would lead to the whole list instead, where an action on "all" means more rows than were asked for.
        """
        try:
            with transaction.atomic():
                return super().get_changelist_instance(request)
        # A number that no column can hold is looked up by Django as it is.
        except (IncorrectLookupParameters, OverflowError, DataError):
            self.message_user(
                request,
                _("The filter in this address can't be read, so nothing is listed."),
                messages.WARNING,
            )
        plain = copy(request)
        plain.GET = QueryDict()
        found = super().get_changelist_instance(plain)
        assert isinstance(found, SearchedList)
        found.unreadable = True
        found.queryset = found.queryset.none()
        found.get_results(plain)
        return found

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Fill nothing in from an address: Django would hand texts to widgets that expect times."""
        return {}

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        """Return the row; an empty `_to_field` in the address, which Django looks up as it is, means the key."""
        found: Model | None = super().get_object(request, object_id, from_field or None)
        return found

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """See `SearchedList`."""
        return SearchedList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Take a search by POST (`templates/admin/search_form.html`) and lead to its list; note the look at one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        typed, user = request.GET.get(SEARCH_VAR, ""), actor_of(request)
        if is_search(request):
            sent = request.POST.copy()
            del sent["_search"]
            return HttpResponseRedirect(searches.address(request.path, sent, user))
        if typed and not searches.is_id(typed):
            return HttpResponseRedirect(searches.address(request.path, request.GET, user))
        self._note_look(request, "")
        try:
            response: HttpResponse = super().changelist_view(request, extra_context)
            return response
        except searches.SearchEnded:
            self.message_user(request, _("This search has expired. Search again."), messages.INFO)
            rest = request.GET.copy()
            del rest[SEARCH_VAR]
            return HttpResponseRedirect(searches.address(request.path, rest, user))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show what a service or the database refused although the form let it through; note the look."""
        self._note_look(request, object_id or "")
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except ValidationError as error:
            said = error.messages
        except IntegrityError:
            # Django saves a form and all beneath it in one transaction.
            said = [
                _(
                    "Someone else saved the same object at the same time. Nothing was changed. Check it and try again."
                )
            ]
        for message in said:
            self.message_user(request, message, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())


class SensitiveAdmin(SupportAdmin):
    """Pages that decide who someone is and what they may do: saving them asks for the password, or a second step,
    again.
    """

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Actions are sent to the list, and so are searches, which change nothing and carry out no action."""
        if is_search(request):
            return super().changelist_view(request, *args, **kwargs)
        return self._changelist_view_with_actions(request, *args, **kwargs)

    @method_decorator(reauthentication_required(allow_get=True))
    def _changelist_view_with_actions(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changelist_view(request, *args, **kwargs)

    @method_decorator(reauthentication_required(allow_get=True))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """See the class's text."""
        return super().changeform_view(request, *args, **kwargs)


class EvidenceAdmin(SupportAdmin):
    """Pages that only show."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Evidence is not made by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Evidence is not changed."""
        return False


class NewestFirst(SearchedList):
    """A list in its own order alone, whatever the address asks for."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Sorting by a column without an index would read the table whole."""
        return list(self.model_admin.get_ordering(request))


class LookedUpAdmin(SupportAdmin):
    """Pages of a table that is too large to be searched row by row; see the module's text."""

    # Shows the box; what is typed into it goes to `look_up`.
    search_fields: ClassVar[tuple[str, ...]] = ("pk",)
    sortable_by: ClassVar[tuple[str, ...]] = ()
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """See `NewestFirst`."""
        return NewestFirst

    def look_up(self, text: str) -> Iterable[int]:
        """Return the primary keys of the rows that `text` (never empty) names, each found by an index."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """List what was looked up."""
        text = tidy(search_term)
        if not text:
            return queryset, False
        return queryset.filter(pk__in=list(islice(self.look_up(text), FOUND_ROWS))), False


class ShownHistory(SimpleHistoryAdmin):  # type: ignore[misc]
    """A history that is looked at only: going back to an old version would pass by the services."""

    def revert_disabled(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Show no button for it."""
        return True

    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Refuse it, since the library hides the button only and takes the form from anybody who may look."""
        if request.method == "POST":
            raise PermissionDenied
        response: HttpResponse = super().history_form_view(request, *args, **kwargs)
        return response


class HistoryAdmin(ShownHistory, SupportAdmin):
    """Pages with a history."""


class EvidenceHistoryAdmin(ShownHistory, EvidenceAdmin):
    """Pages that only show, with a history."""
