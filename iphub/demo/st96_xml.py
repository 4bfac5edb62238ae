"""What patents and designs share in ST.96: namespaces, texts and parties as XML.

Standard: WIPO ST.96 V6_0, Common and Patent/Design components.
"""

from html import escape

from iphub.demo.names import Party, Texts

NAMESPACES = (
    'xmlns:com="http://www.wipo.int/standards/XMLSchema/ST96/Common" '
    'xmlns:pat="http://www.wipo.int/standards/XMLSchema/ST96/Patent" '
    'xmlns:dgn="http://www.wipo.int/standards/XMLSchema/ST96/Design"'
)
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def element(name: str, text: str) -> str:
    """Return one element, or nothing when there is no text."""
    return f"<{name}>{escape(text, quote=False)}</{name}>\n" if text else ""


def wrapped(name: str, inside: str, attributes: str = "") -> str:
    """Return an element around ``inside``, or nothing when that is empty."""
    return f"<{name}{attributes and ' '}{attributes}>\n{inside}</{name}>\n" if inside else ""


def spoken(name: str, texts: Texts) -> str:
    """Return one element per language."""
    return "".join(
        f'<{name} com:languageCode="{language}">{escape(text, quote=False)}</{name}>\n'
        for text, language in texts
    )


def application_number(office: str, number: str) -> str:
    """Return ``com:ApplicationNumber`` with the office and the number as it writes it."""
    inside = element("com:IPOfficeCode", office) + element("com:ApplicationNumberText", number)
    return wrapped("com:ApplicationNumber", inside)


def _language(code: str) -> str:
    return f'com:languageCode="{code}"'


def contact(party: Party, *, person: bool = False) -> str:
    """Return the contact of a party: its names, one per language, and its address."""
    if person:
        names = "".join(
            wrapped("com:PersonName", element("com:PersonFullName", name), _language(code))
            for name, code in party.names
        )
    else:
        names = spoken("com:EntityName", party.names)
    line = escape(party.address, quote=False)
    address = wrapped(
        "com:PostalStructuredAddress",
        f'<com:AddressLineText com:sequenceNumber="1">{line}</com:AddressLineText>\n'
        + element("com:CountryCode", party.country),
    )
    return wrapped(
        "com:Contact",
        wrapped("com:Name", names)
        + wrapped("com:PostalAddressBag", wrapped("com:PostalAddress", address)),
    )
