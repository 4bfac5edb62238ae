"""What we offer other SSH servers, against what auditors of SSH call weak (S-13).

Source: the algorithm table of ssh-audit 3; Terrapin, CVE-2023-48795.
"""

import re
import socket

import paramiko
import pytest

from connectors.sftp.session import CIPHERS, HOST_KEYS, KEY_EXCHANGES, MACS, harden

WEAK = re.compile(
    r"cbc|3des|des-|arcfour|blowfish|cast|rijndael"  # ciphers
    r"|md5|sha1|umac-64|ripemd|-96"  # MACs and signatures
    r"|group1-|group14-|group-exchange|nistp|secp|gss"  # key exchanges
    r"|^ssh-rsa|^ssh-dss|^none"
)


@pytest.fixture
def offered():
    """Paramiko's own defaults, hardened as ``connect`` does."""
    here, there = socket.socketpair()
    with here, there:
        options = paramiko.Transport(here).get_security_options()
        harden(options)
        yield options


@pytest.mark.parametrize("kind", ["kex", "ciphers", "digests"])
def test_nothing_weak_is_offered(offered, kind):
    found = getattr(offered, kind)
    assert found
    assert [name for name in found if WEAK.search(name)] == []


def test_the_lists_are_ours_and_not_paramikos_defaults(offered):
    assert set(offered.kex) <= set(KEY_EXCHANGES)
    assert {"curve25519-sha256@libssh.org", "diffie-hellman-group16-sha512"} <= set(offered.kex)
    assert (tuple(offered.ciphers), tuple(offered.digests)) == (CIPHERS, MACS)
    assert offered.compression == ("none",)


def test_host_keys_are_not_signed_with_sha1():
    """NIST curves may be pinned: the office chooses its host key, and there is no other risk."""
    assert [name for name in HOST_KEYS if re.search(r"^ssh-rsa|dss|sha1", name)] == []


def test_the_defence_against_terrapin_is_on():
    here, there = socket.socketpair()
    with here, there:
        assert paramiko.Transport(here).advertise_strict_kex


@pytest.mark.parametrize("name", ["ssh-rsa", "aes128-cbc", "hmac-sha1", "ecdh-sha2-nistp256"])
def test_the_check_itself_knows_what_is_weak(name):
    assert WEAK.search(name)
