"""Trade marks as IPAS offices write them: the ST.66 dialect with the ``wo`` extension.

Element names, order and nesting follow WIPO ST.66 V1 and its IPAS use; indentation too,
because it is half of a real record's bytes. What is true of a mark does not belong here.
"""

from collections.abc import Iterable, Sequence
from html import escape

from iphub.demo.names import Party, Texts
from iphub.demo.trademarks import Event, Mark

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<Transaction xmlns="http://www.wipo.int/standards/XMLSchema/trademarks" \
xmlns:wo="http://www.wipo.int/standards/XMLSchema/wo-trademarks">
"""
_OPEN = """  <TradeMarkTransactionBody>
    <TransactionContentDetails>
      <TransactionIdentifier></TransactionIdentifier>
      <TransactionCode>{}</TransactionCode>
      <TransactionSubCode>{}</TransactionSubCode>
      <TransactionData>
        <TradeMarkApplication>
          <TradeMarkDetails>
"""
_CLOSE = """          </TradeMarkDetails>
        </TradeMarkApplication>
      </TransactionData>
    </TransactionContentDetails>
  </TradeMarkTransactionBody>
"""
TAIL = "</Transaction>\n"
_I = " " * 14
"""Where the children of ``TradeMark`` stand in the offices' own files."""
_IN = _I + "  "


def single(mark: Mark) -> bytes:
    """Return the XML file of one mark (UTF-8)."""
    return "".join((HEAD, body([mark]), TAIL)).encode()


def several(marks: Sequence[Mark]) -> bytes:
    """Return one XML file with many marks, one transaction body per kind of transaction."""
    kinds = sorted({mark.transaction for mark in marks})
    bodies = (body([mark for mark in marks if mark.transaction == kind]) for kind in kinds)
    return "".join((HEAD, *bodies, TAIL)).encode()


def body(marks: Sequence[Mark]) -> str:
    """Return one transaction body; its header is the first mark's."""
    code, sub_code = marks[0].transaction
    return "".join((_OPEN.format(escape(code), escape(sub_code)), *map(_record, marks), _CLOSE))


def _text(name: str, text: str, indent: str = _I) -> str:
    return f"{indent}<{name}>{escape(text, quote=False)}</{name}>\n" if text else ""


def _spoken(name: str, texts: Texts, indent: str) -> str:
    return "".join(
        f'{indent}<{name} languageCode="{language}">{escape(text, quote=False)}</{name}>\n'
        for text, language in texts
    )


def _wrapped(names: str, inside: str, indent: str = _I) -> str:
    """Put ``inside`` into the nested elements ``names`` (joined by ``/``), if there is any."""
    if not inside:
        return ""
    parts = names.split("/")
    head = "".join(f"{indent}{'  ' * depth}<{name}>\n" for depth, name in enumerate(parts))
    tail = "".join(
        f"{indent}{'  ' * depth}</{name}>\n" for depth, name in reversed(list(enumerate(parts)))
    )
    return head + inside + tail


def _record(mark: Mark) -> str:
    number, registered, expiry = mark.registration
    return "".join(
        (
            "            <TradeMark>\n",
            _text("RegistrationOfficeCode", mark.office),
            _text("ApplicationNumber", mark.number),
            _text("ApplicationDate", mark.filed),
            _text("RegistrationNumber", number),
            _text("RegistrationDate", registered),
            _text("ApplicationLanguageCode", mark.language),
            _text("ExpiryDate", expiry),
            _text("TerminationDate", mark.ended),
            _text("MarkCurrentStatusDate", mark.status_date),
            _text("KindMark", mark.kind),
            _text("MarkFeature", mark.feature),
            _wrapped("MarkDisclaimerDetails", _spoken("MarkDisclaimer", mark.disclaimers, _IN)),
            _wrapped("MarkImageDetails", _image(mark)),
            _wrapped("GoodsServicesDetails/GoodsServices/ClassDescriptionDetails", _goods(mark)),
            _wrapped("PriorityDetails", _priorities(mark)),
            _wrapped("PublicationDetails", _publication(mark)),
            _wrapped("ApplicantDetails", _parties("Applicant", mark.applicants)),
            _wrapped("RepresentativeDetails", _parties("Representative", mark.representatives)),
            _wrapped("wo:WordMarkSpecification", _words(mark)),
            _wrapped("wo:MarkEventDetails", "".join(map(_event, mark.events))),
            _text("wo:MarkCurrentStatusCode", mark.status),
            "            </TradeMark>\n",
        )
    )


def _image(mark: Mark) -> str:
    if not mark.image:
        return f"{_I}  <MarkImage/>\n"
    codes = "".join(_text("CategoryCode", code, _I + " " * 8) for code in mark.vienna)
    category = _wrapped("CategoryCodeDetails", codes, _I + " " * 6)
    if category:
        kind = _text("CategoryKind", "Vienna", _I + " " * 6)
        edition = _text("CategoryVersion", "9", _I + " " * 6)
        category = _wrapped("MarkImageCategory", kind + edition + category, _I + " " * 4)
    name = _text("MarkImageFilename", "ATTACHMENT/logo", _I + " " * 4)
    return _wrapped(
        "MarkImage", name + _text("MarkImageFileFormat", "PNG", _I + " " * 4) + category, _IN
    )


def _goods(mark: Mark) -> str:
    deep = _I + " " * 8
    return "".join(
        f"{_I}      <ClassDescription>\n"
        f"{deep}<ClassNumber>{number}</ClassNumber>\n"
        f"{_spoken('GoodsServicesDescription', texts, deep)}"
        f"{_I}      </ClassDescription>\n"
        for number, texts in mark.goods
    )


def _priorities(mark: Mark) -> str:
    deep = _I + " " * 4
    return "".join(
        f"{_I}  <Priority>\n{_text('PriorityCountryCode', country, deep)}"
        f"{_text('PriorityNumber', number, deep)}{_text('PriorityDate', claimed, deep)}"
        f"{_I}  </Priority>\n"
        for country, number, claimed in mark.priorities
    )


def _publication(mark: Mark) -> str:
    journal, published = mark.publication
    inside = _text("PublicationIdentifier", journal, _I + " " * 4)
    inside += _text("PublicationDate", published, _I + " " * 4)
    return _wrapped("Publication", inside, _IN)


def _parties(role: str, parties: Iterable[Party]) -> str:
    book = f"{role}AddressBook/FormattedNameAddress"
    return "".join(_wrapped(f"{role}/{book}", _party(party), _IN) for party in parties)


def _party(party: Party) -> str:
    deep = _I + " " * 8
    lines = _spoken("FreeFormatNameLine", party.names, deep + " " * 6)
    name = _wrapped("FreeFormatNameDetails", lines, deep + " " * 4)
    line = _text("FreeFormatAddressLine", party.address, deep + " " * 4)
    country = _text("AddressCountryCode", party.country, deep + "  ")
    return _wrapped("Name/FreeFormatName", name, deep) + _wrapped(
        "Address", country + _wrapped("FreeFormatAddress", line, deep + "  "), deep
    )


def _words(mark: Mark) -> str:
    return _spoken("wo:MarkVerbalElementText", mark.words, _IN) + _spoken(
        "wo:MarkTranslation", mark.translations, _IN
    )


def _event(event: Event) -> str:
    deep = _I + " " * 4
    texts: Texts = ((event.text, "en"),) if event.text else ()
    return (
        f"{_I}  <wo:MarkEvent>\n"
        f"{deep}<wo:MarkEventDate>{event.date}</wo:MarkEventDate>\n"
        f"{deep}<wo:MarkEventCode>{event.code}</wo:MarkEventCode>\n"
        f"{deep}<wo:OfficeSpecificMarkEventName>{event.name}</wo:OfficeSpecificMarkEventName>\n"
        f"{_text('wo:OfficeSpecificMarkEventCode', event.office_code, deep)}"
        f"{_spoken('wo:OfficeSpecificMarkEventDescription', texts, deep)}"
        f"{_I}  </wo:MarkEvent>\n"
    )
