"""What each office's own ways of writing a trademark mean, record by record."""

import unicodedata
from datetime import date

import pytest
from lxml import etree

from ipregister.mapping import mapping_for
from ipregister.model import Right

NAMESPACE = "http://www.wipo.int/standards/XMLSchema/trademarks"
EXTENSION = "http://www.wipo.int/standards/XMLSchema/wo-trademarks"


def trademark(office, number="", *, code="", sub_code="", events=(), **elements):
    """Return what becomes of one record with these elements."""
    children = "".join(f"<{name}>{text}</{name}>" for name, text in elements.items())
    history = "".join(
        f"<wo:MarkEvent><wo:MarkEventDate>{day}</wo:MarkEventDate><wo:MarkEventCode>{category}</wo:MarkEventCode>"
        f"<wo:OfficeSpecificMarkEventName>{text}</wo:OfficeSpecificMarkEventName></wo:MarkEvent>"
        for day, category, text in events
    )
    record = etree.fromstring(
        f'<TradeMark xmlns="{NAMESPACE}" xmlns:wo="{EXTENSION}">'
        f"<ApplicationNumber>{number}</ApplicationNumber>{children}"
        f"<wo:MarkEventDetails>{history}</wo:MarkEventDetails></TradeMark>"
    )
    header = {"transactionCode": code, "transactionSubCode": sub_code}
    return mapping_for(office, Right.TRADEMARKS).apply(
        record, {name: text for name, text in header.items() if text}, {}
    )


def codes(mapped):
    return [issue.code for issue in mapped.issues]


@pytest.mark.parametrize(
    ("office", "phrase", "status", "group"),
    [
        ("KH", "Registered", "registered", "registered"),
        ("KH", "  AWAITING   court action", "under_appeal", "pending"),
        ("BN", "Suspended", "suspended", "pending"),
        ("VN", "Cấp bằng", "registered", "registered"),
        ("VN", "Đang giải quyết", "pending", "pending"),
        ("VN", "Công bố", "published", "pending"),
        ("VN", "Hết hạn", "expired", "expired"),
        ("VN", "Rút đơn", "withdrawn", "ended"),
        ("VN", "Từ chối", "refused", "ended"),
        ("VN", "Từ bỏ", "abandoned", "ended"),
        ("VN", "Mất hiệu lực", "inactive", "ended"),
        ("PH", "Refused for non-filing of DAU / DNU", "refused", "ended"),
        ("PH", "registered", "registered", "registered"),
        ("PH", "TM Applications Received in Error", "removed", "ended"),
    ],
)
def test_status_phrases(office, phrase, status, group):
    mapped = trademark(office, MarkCurrentStatusCode=phrase)
    assert (mapped.row["status"], mapped.row["statusGroup"]) == (status, group)
    assert mapped.row["officeStatus"].split() == phrase.split()
    assert "ALL.CNF.006" not in codes(mapped)


@pytest.mark.parametrize(
    ("office", "phrase"), [("KH", "2346"), ("MY", "15"), ("BN", "M40"), ("TL", "Ativo")]
)
def test_a_status_without_agreed_meaning_is_kept_and_reported(office, phrase):
    mapped = trademark(office, "1", MarkCurrentStatusCode=phrase)
    assert mapped.row["status"] == mapped.row["statusGroup"] == "unknown"
    assert mapped.row["officeStatus"] == phrase
    assert "ALL.CNF.006" in codes(mapped)


@pytest.mark.parametrize("phrase", ["Mất hiệu lực", "MẤT  HIỆU LỰC"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_no_longer_in_force_is_not_expired_however_it_is_encoded(form, phrase):
    mapped = trademark("VN", MarkCurrentStatusCode=unicodedata.normalize(form, phrase))
    assert (mapped.row["status"], mapped.row["statusGroup"]) == ("inactive", "ended")


@pytest.mark.parametrize("office", ["KH", "LA", "MY", "TH"])
def test_inactive_means_expired_only_with_an_expiry_date(office):
    ended = trademark(office, MarkCurrentStatusCode="Inactive")
    expired = trademark(office, MarkCurrentStatusCode="Inactive", ExpiryDate="2020-01-01")
    assert (ended.row["statusGroup"], expired.row["statusGroup"]) == ("ended", "expired")
    assert trademark("BN", MarkCurrentStatusCode="Inactive").row["statusGroup"] == "expired"


@pytest.mark.parametrize(
    ("office", "number", "code", "sub_code", "irn"),
    [
        ("BN", "1071853A", "Trademark-Madrid", "", "1071853A"),
        ("ID", "M0020191466446", "Trademark - Madrid (DCP)", "", "1466446"),
        ("ID", "M0020191466446-11", "Madrid DCP (MIGRASI)", "", "1466446"),
        ("KH", "KH/1071853A/M", "Madrid Designated", "Foreign Trademark", "1071853A"),
        ("LA", "M/1421805", "Trademark - Madrid", "", "1421805"),
        ("LA", "M / 1421805", "Trademark", "", "1421805"),
        ("KH", "kh/1071853a/m", "", "", "1071853A"),
        ("PH", "PHM000101573483", "Trademark", "National", "1573483"),
        ("PH", "PH/M/0001/01573483", "Trademark", "National", "1573483"),
        ("PH", "AM000101573483", "Trademark (National)", "Part A", "1573483"),
        ("PH", "BM000101573483", "Trademarks", "Part B", "1573483"),
        ("VN", "MD-4-2019-11818", "TradeMark", "", None),
    ],
)
def test_signs_of_the_madrid_route(office, number, code, sub_code, irn):
    row = trademark(office, number, code=code, sub_code=sub_code).row
    assert row["filingRoute"] == "madrid"
    assert row.get("internationalRegistrationNumber") == irn


def test_thailand_names_the_international_registration_in_an_event():
    events = [
        ("2019-01-02", "Filed", "Filing"),
        ("2019-03-04", "Madrid Designation", "IRN:1504436"),
    ]
    row = trademark("TH", "190100001", sub_code="Madrid", events=events).row
    assert (row["filingRoute"], row["internationalRegistrationNumber"]) == ("madrid", "1504436")
    assert trademark("TH", "190100001", events=events).row["filingRoute"] == "national"


def test_a_national_number_has_no_international_registration():
    row = trademark("ID", "M0020191466446", code="Merek Dagang").row
    assert row["filingRoute"] == "national"
    assert "internationalRegistrationNumber" not in row


@pytest.mark.parametrize(
    ("office", "header", "kind_mark", "kind"),
    [
        ("ID", {"code": "Merek Kolektif"}, None, "collective"),
        ("ID", {"code": "Merek Dagang & Jasa"}, None, "individual"),
        ("ID", {"code": "Merek Dagang"}, "Collective", "collective"),
        ("KH", {"sub_code": "Domestic Certification Mark"}, "Individual", "certificate"),
        ("KH", {"sub_code": "Madrid Mark"}, "Collective", "collective"),
        ("LA", {"sub_code": "TM Collective - Renewal"}, None, "collective"),
        ("LA", {"code": "Trademark - Collective"}, None, "collective"),
        ("MY", {"code": "TRADE MARK"}, "CERTIFICATION", "certificate"),
        ("MY", {"code": "DEFENSIVE"}, None, "defensive"),
        ("PH", {"sub_code": "Part B"}, None, "individual"),
        ("TH", {}, None, "individual"),
        ("TH", {"code": "Collective mark"}, None, "collective"),
        ("VN", {}, None, "individual"),
        ("BN", {}, None, None),
    ],
)
def test_kinds_of_marks(office, header, kind_mark, kind):
    elements = {"KindMark": kind_mark} if kind_mark else {}
    mapped = trademark(office, "1", **header, **elements)
    assert mapped.row.get("markKind") == kind
    assert "TM.CNF.003" not in codes(mapped)


@pytest.mark.parametrize(
    ("office", "header", "said"),
    [
        ("ID", {"code": "Merek Jasa"}, "Merek Jasa"),
        ("ID", {"code": "Merek Dagang & Jasa"}, "Merek Dagang & Jasa"),
        ("ID", {"code": "Trademark - Madrid (DCP)"}, None),
        ("KH", {"sub_code": "Domestic Service Mark"}, "Domestic Service Mark"),
        ("KH", {"sub_code": "Something New"}, None),
        ("LA", {"sub_code": "TM Collective - Renewal"}, "TM Collective - Renewal"),
        ("LA", {"code": "Trademark - Individual"}, "Trademark - Individual"),
        ("MY", {"code": "COLLECTIVE MARK"}, "COLLECTIVE MARK"),
        ("PH", {"sub_code": "National"}, "National"),
        ("PH", {"sub_code": "Part A"}, "Part A"),
        ("PH", {"sub_code": "(Madrid)"}, "(Madrid)"),
        ("PH", {"sub_code": "Something new"}, None),
        ("TH", {"code": "Service mark"}, "Service mark"),
        ("TH", {"code": "Something new"}, None),
    ],
)
def test_the_kind_a_header_names_is_kept_in_its_words(office, header, said):
    assert trademark(office, **header).row.get("officeMarkKind") == said
    assert trademark(office, **header, KindMark="Own").row["officeMarkKind"] == "Own"


def test_the_philippines_name_the_part_of_the_register():
    assert trademark("PH", sub_code="Part A").row["registerPart"] == "Part A"
    assert "registerPart" not in trademark("PH", sub_code="National").row


@pytest.mark.parametrize(
    ("office", "word", "feature"),
    [
        ("BN", "3-D", "three_dimensional"),
        ("ID", "Merek Kata dan Lukisan", "combined"),
        ("ID", "Odor", "olfactory"),
        ("KH", "Stylized characters", "stylized_characters"),
        ("MY", "IMAGE", "figurative"),
        ("MY", "ANYCOMBINATION", "combined"),
        ("MY", "NOT DEFINED", "undefined"),
        ("PH", "N", "word"),
        ("TH", None, "undefined"),
    ],
)
def test_features_of_marks(office, word, feature):
    mapped = trademark(office, "1", **({"MarkFeature": word} if word else {}))
    assert mapped.row["markFeature"] == feature
    assert mapped.row.get("officeMarkFeature") == word
    assert "TM.CNF.003" not in codes(mapped)


def test_decomposed_vietnamese_means_the_same():
    phrase = unicodedata.normalize("NFD", "Cấp bằng")
    assert trademark("VN", MarkCurrentStatusCode=phrase).row["status"] == "registered"


def test_an_unknown_feature_keeps_the_record():
    mapped = trademark("KH", "KH/1/2020", MarkFeature="Karaoke")
    assert mapped.key == "KH/trademarks/KH/1/2020"
    assert mapped.row["officeMarkFeature"] == "Karaoke"
    assert codes(mapped) == ["TM.CNF.003"]


@pytest.mark.parametrize(
    ("number", "sub_code"), [("KH/G/2018/5", ""), ("KH/5/2018", "Domestic GI")]
)
def test_cambodia_sends_geographical_indications_among_the_marks(number, sub_code):
    assert trademark("KH", number, sub_code=sub_code).row["rightKind"] == "gi"
    assert (
        trademark("KH", "KH/5/2018", sub_code="Domestic Trademark").row["rightKind"] == "trademark"
    )


def test_an_empty_registration_number_of_cambodia_is_none():
    mapped = trademark("KH", "KH/5/2018", RegistrationNumber="KH/M/")
    assert "registrationNumber" not in mapped.row
    assert codes(mapped) == ["ALL.CMP.016"]


@pytest.mark.parametrize("office", ["BN", "MY"])
def test_where_marks_are_registered_under_the_application_number(office):
    registered = trademark(office, "2012051842", MarkCurrentStatusCode="Registered")
    assert registered.row["registrationNumber"] == "2012051842"
    assert "registrationNumber" in registered.derived
    assert (
        "registrationNumber"
        not in trademark(office, "2012051842", MarkCurrentStatusCode="Filed").row
    )


@pytest.mark.parametrize(
    ("office", "tag", "code"),
    [("LA", "la", "lo"), ("KH", "kh", "km"), ("ID", "in", "id"), ("VN", "vn", "vi")],
)
def test_language_tags_an_office_gets_wrong_are_mended(office, tag, code):
    mapped = trademark(office, "1", ApplicationLanguageCode=tag)
    assert mapped.row["applicationLanguageCode"] == code
    assert "ALL.CNF.005" in codes(mapped)


def test_events_go_where_they_may_be_withheld():
    events = [
        ("2020-01-01", "Filed", "Filing"),
        ("2020-02-01", "Examined", "Formal check"),
        ("2020-03-01", "Opposed", "Opposition"),
        ("2020-04-01", "Registered", "Registration"),
        ("2020-05-01", "Ascended", "?"),
        ("2020-06-01", "Notificationd", "Notice"),
    ]
    mapped = trademark("VN", "4-2020-00001", events=events)
    assert [event["category"] for event in mapped.row["statusEvents"]] == ["filed", "registered"]
    assert [event["category"] for event in mapped.row["examinationEvents"]] == [
        "examined",
        "opposed",
        "unknown",
        "notified",
    ]
    assert codes(mapped) == ["ALL.CNF.007"]


def test_the_end_of_a_right_is_dated_by_the_event_that_ended_it():
    events = [("2020-01-01", "Filed", "Filing"), ("2021-02-03", "Withdrawn", "Withdrawal")]
    withdrawn = trademark("KH", events=events, MarkCurrentStatusCode="Withdrawn")
    assert withdrawn.row["terminationDate"] == date(2021, 2, 3)
    assert "terminationDate" in withdrawn.derived
    registered = trademark("KH", events=events, MarkCurrentStatusCode="Registered")
    assert "terminationDate" not in registered.row


def test_dates_of_registration_are_not_read_from_events():
    events = [("2016-12-06", "Registered", "Renewal Grace Period")]
    row = trademark("KH", events=events, MarkCurrentStatusCode="Registered").row
    assert "registrationDate" not in row


def test_thailand_describes_the_device_instead_of_naming_words():
    text = "<MarkSignificantVerbalElement>duck face</MarkSignificantVerbalElement>"
    assert trademark("TH", WordMarkSpecification=text).row["deviceDescriptions"] == [
        {"text": "duck face"}
    ]
    assert trademark("VN", WordMarkSpecification=text).row["significantVerbalElements"] == [
        {"text": "duck face"}
    ]


@pytest.mark.parametrize(
    ("office", "phrase", "status", "group"),
    [
        ("BN", "Surrendered", "surrendered", "ended"),
        ("ID", "AWAITING  court action", "under_appeal", "pending"),
        ("KH", "Renewed", "registered", "registered"),
        ("LA", "Suspended", "suspended", "pending"),
        ("PH", "Inactive", "inactive", "expired"),
        ("TH", "Inactive", "inactive", "ended"),
        ("MY", "Lapsed", "expired", "expired"),
        ("PH", "in decision on registration", "pending", "pending"),
        ("PH", "voluntary withdrawn", "withdrawn", "ended"),
        ("SG", "Approved", "pending", "pending"),
        ("SG", "Revoked", "cancelled", "ended"),
        ("SG", "Registration Removed", "removed", "ended"),
        ("VN", "486", "unknown", "unknown"),
    ],
)
def test_status_phrases_of_designs(office, phrase, status, group):
    record = etree.fromstring(
        "<DesignApplication><DesignApplicationCurrentStatusCategory>"
        f"{phrase}</DesignApplicationCurrentStatusCategory></DesignApplication>"
    )
    row = mapping_for(office, Right.DESIGNS).apply(record, {}, {}).row
    assert (row["status"], row["statusGroup"]) == (status, group)


@pytest.mark.parametrize("office", ["KH", "LA", "MY", "TH"])
def test_an_inactive_design_has_expired_only_with_an_expiry_date(office):
    record = etree.fromstring(
        "<DesignApplication><DesignBag><Design><ExpiryDate>2020-01-01</ExpiryDate>"
        "<DesignCurrentStatusCategory>Inactive</DesignCurrentStatusCategory></Design></DesignBag></DesignApplication>"
    )
    row = mapping_for(office, Right.DESIGNS).apply(record, {}, {}).row
    assert (row["status"], row["statusGroup"]) == ("inactive", "expired")
