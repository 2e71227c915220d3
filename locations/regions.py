"""Where a plate comes from: a state or province of the US, Canada or Mexico (ISO 3166-2), or another country (ISO 3166-1).

`parse_region` reads what people and spreadsheets write: `US-NC`, `NC`, `N.C.`, `north carolina`, `CA-ON`, `Ont.`, `Germany`,
`DEU`. Two letters alone are a state or province, never a country (`CA` is California, `DE` Delaware). What is not known is
refused, and what could be two is asked; neither is guessed.

A plate that no state issued has a country alone: a foreign one, and a federal, tribal or diplomatic one of the US, Canada or
Mexico. Those are chosen from a list or typed as `US federal`; `USA` alone is refused, since it usually means that the state
was left out. `Mexico` is read as the country, which holds for a plate of its state México as well.
"""

import unicodedata
from collections import Counter
from typing import Any, NamedTuple

import pycountry
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

# The countries whose plates are told apart by state or province.
WITH_STATES = {"US": "United States", "CA": "Canada", "MX": "Mexico"}
# ISO 3166-1 counts them as countries; for a plate they are parts of the US, as ISO 3166-2 has them too.
_PARTS_OF_THE_US = frozenset({"AS", "GU", "MP", "PR", "UM", "VI"})
_ISO_COUNTRIES = [found for found in pycountry.countries if found.alpha_2 not in _PARTS_OF_THE_US]
COUNTRIES: dict[str, str] = {
    found.alpha_2: WITH_STATES.get(found.alpha_2, getattr(found, "common_name", found.name))
    for found in _ISO_COUNTRIES
}
_ALPHA_3: dict[str, str] = {found.alpha_2: found.alpha_3 for found in _ISO_COUNTRIES}

_US = """AL Alabama|AK Alaska|AZ Arizona|AR Arkansas|CA California|CO Colorado|CT Connecticut|DE Delaware
|DC District of Columbia|FL Florida|GA Georgia|HI Hawaii|ID Idaho|IL Illinois|IN Indiana|IA Iowa|KS Kansas|KY Kentucky
|LA Louisiana|ME Maine|MD Maryland|MA Massachusetts|MI Michigan|MN Minnesota|MS Mississippi|MO Missouri|MT Montana
|NE Nebraska|NV Nevada|NH New Hampshire|NJ New Jersey|NM New Mexico|NY New York|NC North Carolina|ND North Dakota
|OH Ohio|OK Oklahoma|OR Oregon|PA Pennsylvania|RI Rhode Island|SC South Carolina|SD South Dakota|TN Tennessee|TX Texas
|UT Utah|VT Vermont|VA Virginia|WA Washington|WV West Virginia|WI Wisconsin|WY Wyoming|AS American Samoa|GU Guam
|MP Northern Mariana Islands|PR Puerto Rico|VI U.S. Virgin Islands"""
_CA = """AB Alberta|BC British Columbia|MB Manitoba|NB New Brunswick|NL Newfoundland and Labrador|NS Nova Scotia
|NT Northwest Territories|NU Nunavut|ON Ontario|PE Prince Edward Island|QC Quebec|SK Saskatchewan|YT Yukon"""
_MX = """AGU Aguascalientes|BCN Baja California|BCS Baja California Sur|CAM Campeche|CHP Chiapas|CHH Chihuahua
|CMX Ciudad de México|COA Coahuila|COL Colima|DUR Durango|GUA Guanajuato|GRO Guerrero|HID Hidalgo|JAL Jalisco|MEX México
|MIC Michoacán|MOR Morelos|NAY Nayarit|NLE Nuevo León|OAX Oaxaca|PUE Puebla|QUE Querétaro|ROO Quintana Roo
|SLP San Luis Potosí|SIN Sinaloa|SON Sonora|TAB Tabasco|TAM Tamaulipas|TLA Tlaxcala|VER Veracruz|YUC Yucatán
|ZAC Zacatecas"""


def _table(country: str, text: str) -> dict[str, str]:
    pairs = (entry.strip().split(" ", 1) for entry in text.replace("\n", "").split("|"))
    return {f"{country}-{code}": name for code, name in pairs}


NO_STATE_LABEL = gettext_lazy("federal, tribal or diplomatic plate")
SUBDIVISIONS: dict[str, str] = {**_table("US", _US), **_table("CA", _CA), **_table("MX", _MX)}
# How people shorten a name, beside the codes: as newspapers, old licence plates and post offices do.
_ABBREVIATED = {
    "US": """Ala AL|Ariz AZ|Ark AR|Calif CA|Colo CO|Conn CT|Del DE|Fla FL|Ill IL|Ind IN|Kan KS|Kans KS|Mass MA|Mich MI|Minn MN
|Miss MS|Mont MT|Neb NE|Nebr NE|Nev NV|N Mex NM|N Dak ND|Okla OK|Ore OR|Oreg OR|Penn PA|Penna PA|S Dak SD|Tenn TN|Tex TX
|Wash WA|W Va WV|Wis WI|Wisc WI|Wyo WY|Washington DC DC|US Virgin Islands VI""",
    "CA": """Alta AB|Man MB|NF NL|Nfld NL|Newfoundland NL|Labrador NL|NWT NT|Ont ON|PEI PE|PQ QC|Qué QC|Sask SK
|Yukon Territory YT|YK YT""",
    "MX": """CDMX CMX|DF CMX|Distrito Federal CMX|Mexico City CMX|Edomex MEX|Edo Mex MEX|Estado de México MEX|Ags AGU|Camp CAM
|Chis CHP|Chih CHH|Coah COA|Dgo DUR|Gto GUA|Gro GRO|Hgo HID|Jal JAL|Mor MOR|Nay NAY|Oax OAX|Pue PUE|Qro QUE|Q Roo ROO|Sin SIN
|Son SON|Tab TAB|Tamps TAM|Tlax TLA|Ver VER|Yuc YUC|Zac ZAC|Coahuila de Zaragoza COA|Michoacán de Ocampo MIC
|Veracruz de Ignacio de la Llave VER""",
}
# Other ways to write a country; ISO's own names and three-letter codes are known anyway.
_COUNTRY_SPELLINGS = """UK GB|Great Britain GB|England GB|Scotland GB|Wales GB|Northern Ireland GB|Holland NL|Russia RU
|South Korea KR|Korea KR|UAE AE|Ivory Coast CI|Turkey TR|Czech Republic CZ|Deutschland DE|Espana ES|Brasil BR|Macedonia MK"""
# Written without a full stop, “QUE” may be the code of Querétaro or short for Québec.
_AMBIGUOUS = {
    "que": ("CA-QC", "MX-QUE"),
    "col": ("US-CO", "MX-COL", "COL"),
    "mex": ("MX-MEX", "MEX"),
    "ind": ("US-IN", "IND"),
}
_WITH_STOP = {"QUE.": "CA-QC", "IND.": "US-IN"}
# What no state issues.
_NO_STATE = "federal|government|govt|gov|tribal|tribe|diplomatic|diplomat|military"


def _folded(text: str) -> str:
    """Return a text without accents, full stops, case and repeated blanks."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return " ".join(plain.replace(".", " ").replace(",", " ").casefold().split())


def _spellings() -> dict[str, str]:
    found = {_folded(name): code for code, name in SUBDIVISIONS.items()}
    for country, text in _ABBREVIATED.items():
        for entry in text.replace("\n", "").split("|"):
            name, code = entry.strip().rsplit(" ", 1)
            found.setdefault(_folded(name), f"{country}-{code}")
    # For "N.C." and "W.Va.", of which the full stops are left out.
    for written, code in [*_BY_SHORT.items(), *found.items()]:
        found.setdefault(written.replace(" ", "").casefold(), code)
    return found


_BY_SHORT = {code.split("-")[1]: code for code in reversed(SUBDIVISIONS)}
_BY_SPELLING = _spellings()
_SHARED = {
    short for short, count in Counter(code.split("-")[1] for code in SUBDIVISIONS).items() if count > 1
}


class Region(NamedTuple):
    """The country that issued a plate (alpha-2), and the part of it; an empty `subdivision` where no state did."""

    country: str
    subdivision: str

    @property
    def key(self) -> str:
        """One code for both: `US-NC`, or the country's three letters (`DEU`), which no state's code can be taken for."""
        return self.subdivision or _ALPHA_3.get(self.country, self.country)


def _countries() -> dict[str, Region]:
    """Return the spellings of countries, and of the plates that no state of a country issued."""
    found: dict[str, Region] = {}
    for country in _ISO_COUNTRIES:
        for name in ("name", "common_name", "official_name", "alpha_3"):
            if written := getattr(country, name, ""):
                found[_folded(written)] = Region(country.alpha_2, "")
    for entry in _COUNTRY_SPELLINGS.replace("\n", "").split("|"):
        written, code = entry.strip().rsplit(" ", 1)
        found[_folded(written)] = Region(code, "")
    for code, names in {
        "US": "us|u s|usa|united states",
        "CA": "canada|canadian",
        "MX": "mexico|mexican",
    }.items():
        for name in names.split("|"):
            for kind in _NO_STATE.split("|"):
                found[f"{name} {kind}"] = Region(code, "")
    return found


_BY_COUNTRY = _countries()
_BY_KEY = {
    **{code: Region(code[:2], code) for code in SUBDIVISIONS},
    **{_ALPHA_3[country]: Region(country, "") for country in COUNTRIES},
}


def parse_region(text: str) -> Region:
    """Return the region that `text` names, or raise `ValidationError` with one sentence; code "ambiguous" where it asks."""
    wanted = " ".join(text.split())
    upper, folded = wanted.upper(), _folded(wanted)
    if upper in SUBDIVISIONS:
        return Region(upper[:2], upper)
    if upper in _WITH_STOP:
        code = _WITH_STOP[upper]
        return Region(code[:2], code)
    # With its accent, “Qué” is short for Québec alone.
    if keys := _AMBIGUOUS.get(wanted.casefold().rstrip(".")):
        raise ValidationError(_which_of(wanted, keys), code="ambiguous")
    if folded == "mexico":
        return Region("MX", "")
    initials = folded.replace(" ", "") if "." in wanted else ""
    code = _BY_SHORT.get(upper) or _BY_SPELLING.get(folded) or _BY_SPELLING.get(initials, "")
    if code:
        return Region(code[:2], code)
    region = _BY_COUNTRY.get(folded) or _BY_COUNTRY.get(initials)
    if region is None:
        raise ValidationError(_unknown(wanted))
    if region.country in WITH_STATES and folded.split()[-1] not in _NO_STATE.split("|"):
        raise ValidationError(
            _(
                "“%(text)s” doesn't say which state or province. Enter the one on the plate. For a federal, tribal or "
                "diplomatic plate, enter “%(country)s federal”."
            ),
            code="no_state",
            params={
                "text": wanted[:40],
                "country": "US" if region.country == "US" else COUNTRIES[region.country],
            },
        )
    return region


def _which_of(text: str, keys: tuple[str, ...]) -> str:
    regions = [_BY_KEY[key] for key in keys]
    names = [
        SUBDIVISIONS.get(region.subdivision)
        or _("the country %(country)s") % {"country": COUNTRIES[region.country]}
        for region in regions
    ]
    # The three letters of a country are what was asked about: its name tells it from the state.
    codes = [region.subdivision or COUNTRIES[region.country] for region in regions]
    return _("“%(text)s” could be %(names)s. Enter %(codes)s.") % {
        "text": text.upper()[:40],
        "names": _("%(first)s or %(last)s") % {"first": ", ".join(names[:-1]), "last": names[-1]},
        "codes": _("%(first)s or %(last)s") % {"first": ", ".join(codes[:-1]), "last": codes[-1]},
    }


def _unknown(text: str) -> str:
    country = text.upper()
    if country in COUNTRIES and country not in WITH_STATES:
        return _(
            "“%(text)s” is not a state or province. For a vehicle from %(country)s, enter “%(country)s” or “%(code)s”."
        ) % {"text": text, "country": COUNTRIES[country], "code": _ALPHA_3[country]}
    if country in WITH_STATES:
        return _(
            "“%(text)s” is not a state or province. Enter the one on the plate, such as %(example)s."
        ) % {
            "text": text,
            "example": {"US": "US-NC", "CA": "CA-ON", "MX": "MX-JAL"}[country],
        }
    return _(
        "Unknown state or province “%(text)s”. Enter it like this: US-NC, NC or North Carolina. For a vehicle from another "
        "country, enter the country's name."
    ) % {"text": text[:40]}


def region_of_key(key: str) -> Region:
    """Return the region that `Region.key` stands for; raise `ValidationError` for any other text."""
    if key not in _BY_KEY:
        raise ValidationError(_unknown(key))
    return _BY_KEY[key]


def find_key(key: str) -> Region | None:
    """Return the region that `Region.key` stands for, or None."""
    return _BY_KEY.get(key)


def check_region(country: str, subdivision: str) -> Region:
    """Return the pair if the subdivision is empty or one of the country's, or raise `ValidationError`."""
    if country not in COUNTRIES:
        raise ValidationError(_("Unknown country “%(text)s”."), params={"text": country[:40]})
    if subdivision and (subdivision not in SUBDIVISIONS or not subdivision.startswith(f"{country}-")):
        raise ValidationError(
            _("“%(part)s” is not a state or province of %(country)s."),
            params={"part": subdivision[:40], "country": COUNTRIES[country]},
        )
    return Region(country, subdivision)


def find_subdivision(code: str, country: str = "") -> str:
    """Return the subdivision that a code stands for, long (`US-NC`) or short (`NC`); an empty text where that is not known.

    A short code is one of `country`'s, where a country of ours is given; without one it must belong to a single country.
    """
    wanted, country = code.strip().upper(), country.strip().upper()
    if country not in WITH_STATES:
        country = ""
    if wanted in SUBDIVISIONS:
        return wanted if wanted.startswith(country) else ""
    if country:
        return full if (full := f"{country}-{wanted}") in SUBDIVISIONS else ""
    return "" if wanted in _SHARED else _BY_SHORT.get(wanted, "")


def region_label(country: str, subdivision: str) -> str:
    """Return the words for a region: `North Carolina, US`, `Germany`, `United States, no state`; nothing for neither."""
    if subdivision:
        found = SUBDIVISIONS.get(subdivision)
        return f"{found}, {subdivision[:2]}" if found else subdivision
    name = COUNTRIES.get(country, country)
    return _("%(country)s, no state") % {"country": name} if country in WITH_STATES else name


def region_choices() -> list[Any]:
    """Return all regions by their keys, grouped for a form: states and provinces by country, then the other countries."""
    groups: list[Any] = [
        (
            name,
            [
                *((code, label) for code, label in SUBDIVISIONS.items() if code.startswith(country)),
                (_ALPHA_3[country], format_lazy("{}: {}", name, NO_STATE_LABEL)),
            ],
        )
        for country, name in WITH_STATES.items()
    ]
    others = [(_ALPHA_3[code], name) for code, name in COUNTRIES.items() if code not in WITH_STATES]
    groups.append((gettext_lazy("Other countries"), sorted(others, key=lambda other: _folded(other[1]))))
    return groups
