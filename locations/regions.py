"""Countries and their subdivisions (ISO 3166-1 alpha-2 and ISO 3166-2) for the plates that come to a North American lot.

`parse_region` reads what people and spreadsheets write: `US-NC`, `NC`, `N.C.`, `north carolina`, `CA-ON`, `Ont.`. Two letters
alone are a state or province, never a country (`CA` is California). What is not known is refused, and what could be two is
asked; neither is guessed.
"""

import unicodedata
from collections import Counter
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

COUNTRIES = {"US": "United States", "CA": "Canada", "MX": "Mexico"}

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
# Written without a full stop, it may be the code of Querétaro or short for Québec.
_AMBIGUOUS = {"QUE": ("CA-QC", "MX-QUE")}
_WITH_STOP = {"QUE.": "CA-QC"}


def _folded(text: str) -> str:
    """Return a text without accents, full stops, case and repeated blanks."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return " ".join(plain.replace(".", " ").casefold().split())


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
    """The country that issued a plate, and the part of it."""

    country: str
    subdivision: str


def parse_region(text: str) -> Region:
    """Return the region that `text` names, or raise `ValidationError` with one sentence."""
    wanted = " ".join(text.split())
    code = wanted.upper()
    if code in _AMBIGUOUS:
        one, other = _AMBIGUOUS[code]
        raise ValidationError(
            _("“%(text)s” could be %(one)s or %(other)s. Enter %(one_code)s or %(other_code)s."),
            code="ambiguous",
            params={
                "text": code,
                "one": SUBDIVISIONS[one],
                "other": SUBDIVISIONS[other],
                "one_code": one,
                "other_code": other,
            },
        )
    if code not in SUBDIVISIONS:
        folded = _folded(wanted)
        initials = folded.replace(" ", "") if "." in wanted else ""
        code = (
            _WITH_STOP.get(code)
            or _BY_SHORT.get(code)
            or _BY_SPELLING.get(folded)
            or _BY_SPELLING.get(initials, "")
        )
    if not code:
        raise ValidationError(_("Unknown state or province “%(text)s”."), params={"text": text[:40]})
    return Region(code[:2], code)


def check_region(country: str, subdivision: str) -> Region:
    """Return the pair if the subdivision is one of the country's, or raise `ValidationError`."""
    if country not in COUNTRIES:
        raise ValidationError(_("Unknown country “%(text)s”."), params={"text": country[:40]})
    if subdivision not in SUBDIVISIONS or not subdivision.startswith(f"{country}-"):
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
    if country not in COUNTRIES:
        country = ""
    if wanted in SUBDIVISIONS:
        return wanted if wanted.startswith(country) else ""
    if country:
        return full if (full := f"{country}-{wanted}") in SUBDIVISIONS else ""
    return "" if wanted in _SHARED else _BY_SHORT.get(wanted, "")


def region_label(subdivision: str) -> str:
    """Return the words for a subdivision: `US-NC` → `North Carolina, US`."""
    name = SUBDIVISIONS.get(subdivision)
    return f"{name}, {subdivision[:2]}" if name else subdivision
