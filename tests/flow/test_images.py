"""Images of a delivery that cannot be used: told with their record, which goes on without them."""

from typing import Any

import pytest

from ipregister.deliveries import Receipt

PNG, JPEG = b"\x89PNG\r\n\x1a\n and so on", b"\xff\xd8\xff and so on"


def marks(ipas: Any, *images: str) -> str:
    """Return a document with a mark for each image, in this order."""
    records = [ipas.mark(f"KH/9000{n}/2019", image=image) for n, image in enumerate(images)]
    return str(ipas.marks(*records))


def damaged(content: bytes, part: bytes) -> bytes:
    """Return an archive, nothing in it compressed, in which one bit of ``part`` is another."""
    place = content.index(part)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_damaged_image_takes_no_record_with_it(desk: Any, ipas: Any) -> None:
    images = {"0.png": PNG, "1.jpg": JPEG + b"here", "2.png": PNG}
    content = ipas.zipped({"a.xml": marks(ipas, *images, "")} | images)
    good = desk.deliver(damaged(content, b"here"))
    assert good.receipt == Receipt(recordsRead=4, accepted=4, inserted=4)
    finding = desk.found(good, "ALL.PKG.013")  # and not also as an image of no record
    assert (finding["applicationNumber"], finding["value"]) == ("KH/90001/2019", "1.jpg")
    assert finding["field"] == "images[0].fileName"
    assert finding["file"] == "part0.zip!a.xml"
    assert not [each for each in desk.findings(good) if each["ruleCode"] == "ALL.PKG.012"]
    served = desk.served()
    known = ["sha256" in served[f"KH/9000{n}/2019"]["images"][0] for n in range(3)]
    assert known == [True, False, True]


@pytest.mark.parametrize(
    ("name", "content", "is_told"),
    [
        ("a.png", b"", True),
        ("a.png", b"<html>404 Not Found</html>", True),
        ("a.JPG", b"MZ\x90\0", True),
        ("a.png", JPEG, False),  # what it is stands in mediaType
        ("a.tif", b"II+\0\x08\0\0\0", False),
        ("a.svg", b"<svg/>", False),
        ("a.stp", b"ISO-10303-21;", False),
        ("a", b"whatever", False),
    ],
)
def test_an_image_is_what_its_name_says(
    desk: Any, ipas: Any, name: str, content: bytes, is_told: bool
) -> None:
    done = desk.deliver(ipas.zipped({"a.xml": marks(ipas, name), name: content}))
    codes = [each["ruleCode"] for each in desk.findings(done) if "PKG" in each["ruleCode"]]
    assert codes == ["ALL.PKG.013"] * is_told


def test_the_sound_of_a_mark_is_looked_up_as_its_image_is(desk: Any, ipas: Any) -> None:
    sound = "MarkSoundFilename", "MarkSound", "MarkSoundDetails"
    starts, ends = "".join(f"<{each}>" for each in sound[::-1]), "".join(f"</{e}>" for e in sound)
    records = [
        ipas.mark(f"KH/9000{n}/2019", more=starts + name + ends)
        for n, name in enumerate(("jingle.mp3", "other.mp3"))
    ]
    done = desk.deliver(ipas.zipped({"a.xml": ipas.marks(*records), "jingle.mp3": b"ID3 tune"}))
    assert desk.served()["KH/90000/2019"]["recordings"][0]["mediaType"] == "audio/mpeg"
    finding = desk.found(done, "ALL.PKG.011")
    assert (finding["value"], finding["field"]) == ("other.mp3", "recordings[0].fileName")
    assert not [each for each in desk.findings(done) if each["ruleCode"] == "ALL.PKG.012"]


def test_pictures_in_an_archive_of_their_own_are_found(desk: Any, ipas: Any) -> None:
    wanted = ("1.jpg", "img/2.png", "pictures/3.png", "4.png")
    pictures = {f"img/{n}.{end}": PNG for n, end in ((1, "jpg"), (2, "png"), (3, "png"))}
    files = (marks(ipas, *wanted), ipas.zipped({"a.xml": ipas.marks(ipas.mark(image="1.jpg"))}))
    for document in files:
        done = desk.deliver(ipas.zipped(pictures | {"img/5.png": PNG}), document)
        codes = [(f["ruleCode"], f["value"]) for f in desk.findings(done) if "PKG" in f["ruleCode"]]
        lost = [("ALL.PKG.011", "4.png")] if document is files[0] else []
        unused = [5] if document is files[0] else [2, 3, 5]
        assert sorted(codes) == lost + [("ALL.PKG.012", f"img/{n}.png") for n in unused]
    image = desk.served()["KH/90001/2019"]["images"][0]
    assert (image["memberPath"], image["mediaType"]) == ("img/1.jpg", "image/png")


def test_pictures_in_an_archive_of_another_name_change_no_record(desk: Any, ipas: Any) -> None:
    records = ipas.zipped({"a.xml": marks(ipas, "1.png", "2.png")})
    pictures = {"1.png": PNG, "2.png": JPEG}
    for date, unchanged in (("20261101", 0), ("20261201", 2)):
        packed = ipas.zipped(pictures | {f"{date}.png": PNG})
        done = desk.deliver(records, packed, names=(f"{date}.xml.zip", f"{date}.img.zip"))
        assert done.receipt.unchanged == unchanged


def test_pictures_are_found_in_files_of_one_name(desk: Any, ipas: Any) -> None:
    records = ipas.zipped({"a.xml": marks(ipas, "1.png", "2.png", "3.png")})
    packed = (ipas.zipped({"1.png": PNG}), ipas.zipped({"2.png": JPEG, "4.png": PNG}))
    done = desk.deliver(records, *packed, names=("records.zip", "part.zip", "part.zip"))
    codes = [(f["ruleCode"], f["value"]) for f in desk.findings(done) if "PKG" in f["ruleCode"]]
    assert sorted(codes) == [("ALL.PKG.011", "3.png"), ("ALL.PKG.012", "4.png")]


def test_a_picture_that_only_a_folder_tells_apart_is_not_guessed(desk: Any, ipas: Any) -> None:
    wanted = {f"KH{n}/a.xml": ipas.marks(ipas.mark(f"KH{n}", image="logo.png")) for n in (1, 2)}
    pictures = {"KH2/ATTACHMENT/logo.png": PNG}
    done = desk.deliver(ipas.zipped(wanted), ipas.zipped(pictures))
    assert desk.found(done, "ALL.PKG.011")["applicationNumber"] == "KH1"
    served = desk.served()
    assert served["KH2"]["images"][0]["memberPath"] == "KH2/ATTACHMENT/logo.png"
    twice = desk.deliver(
        ipas.zipped(wanted), ipas.zipped(pictures), ipas.zipped(pictures | {"x/y.png": JPEG})
    )
    codes = [each["ruleCode"] for each in desk.findings(twice)]
    assert codes.count("ALL.PKG.011") == 2
