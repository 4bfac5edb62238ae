"""Addresses and keys of SFTP servers, before anything is connected."""

import pytest

from connectors.sftp.keys import key_pair, public_line
from connectors.sftp.session import Address, Login, connect
from ipregister.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "address", "pinned_name"),
    [
        ("sftp://hub@sftp.example", Address("sftp.example", 22, "hub"), "sftp.example"),
        ("sftp://hub@127.0.0.1:2222/", Address("127.0.0.1", 2222, "hub"), "[127.0.0.1]:2222"),
        ("sftp://h%40b@x:22/srv/ip%20data/", Address("x", 22, "h@b", "/srv/ip data"), "x"),
    ],
)
def test_an_address_says_where_and_who(url, address, pinned_name):
    assert Address.parse(url) == address
    assert address.pinned_name == pinned_name


@pytest.mark.parametrize(
    "url",
    [
        "sftp.example",
        "ftp://hub@x",
        "sftp://x",
        "sftp://hub@",
        "sftp://hub@x:99999",
        "sftp://[hub@x",
    ],
)
def test_what_is_no_address_is_said(url):
    with pytest.raises(ConfigurationError, match="SFTP address"):
        Address.parse(url)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(ConfigurationError) as caught:
        Address.parse("sftp://hub:geheim@x")
    assert "geheim" not in caught.value.detail


@pytest.mark.parametrize("content", [None, "[127.0.0.1]:22 ssh-ed25519 AAA\n", "\udcff"])
def test_an_unusable_known_hosts_file_is_said(tmp_path, content):
    pinned = tmp_path / "known_hosts"
    if content is not None:
        pinned.write_text(content, "utf-8", "surrogateescape")
    with (
        pytest.raises(ConfigurationError, match="pinned host keys"),
        connect(Address("127.0.0.1", 1, "hub"), Login(), known_hosts=pinned),
    ):
        pass


@pytest.mark.parametrize("content", [None, "", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_an_unusable_private_key_is_said(tmp_path, content):
    key, pinned = tmp_path / "key", tmp_path / "known_hosts"
    pinned.touch()
    if content is not None:
        key.write_text(content)
    with (
        pytest.raises(ConfigurationError, match="cannot use the private key"),
        connect(Address("127.0.0.1", 1, "hub"), Login(key), known_hosts=pinned),
    ):
        pass


def test_a_key_pair_is_made_once(tmp_path):
    first, second = key_pair(tmp_path / "key"), key_pair(tmp_path / "key")
    assert public_line(first) == public_line(second)
    assert (tmp_path / "key.pub").read_text() == f"{public_line(first)} key\n"
    (tmp_path / "key").write_text("broken")
    with pytest.raises(ConfigurationError):
        key_pair(tmp_path / "key")
