"""Networks as settings write them: addresses or CIDR, separated by commas."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from ipregister.errors import ConfigurationError

Networks = tuple[IPv4Network | IPv6Network, ...]


def read_networks(text: str | None) -> Networks:
    """Return the networks of a setting; none when it is not set.

    Raises:
        ConfigurationError: one of them is none.
    """
    try:
        return tuple(ip_network(part.strip()) for part in (text or "").split(",") if part.strip())
    except ValueError as exc:
        raise ConfigurationError(f"{exc}: name addresses or networks, separated by commas") from exc
