"""Names of the files of one delivery."""

from connectors.submitting import distinct_names


def test_names_that_differ_stay() -> None:
    assert distinct_names(["b/x.zip", "a/x.zip", "x.zip"]) == ["b/x.zip", "a/x.zip", "x.zip"]


def test_a_name_that_stands_again_gets_a_number() -> None:
    given = ["x.zip", "x.zip", "x (2).zip", "x.zip", "y", "y"]
    assert distinct_names(given) == [
        "x.zip",
        "x (2).zip",
        "x (2) (2).zip",
        "x (3).zip",
        "y",
        "y (2)",
    ]
