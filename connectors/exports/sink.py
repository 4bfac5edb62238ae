"""What pyarrow writes into when bytes leave as they come: a file that gives up what it got."""


class Sink:
    """A file that only grows; ``drain`` takes the new bytes out of it."""

    closed = False

    def __init__(self) -> None:
        """Start empty."""
        self._parts: list[bytes] = []
        self._place = 0

    def write(self, data: bytes) -> int:
        """Take bytes in."""
        self._parts.append(bytes(data))  # Arrow's own memory may be gone after this call
        self._place += len(data)
        return len(data)

    def drain(self) -> bytes:
        """Return the bytes written since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data

    def tell(self) -> int:
        """Return how many bytes there were: where in the file the next one goes."""
        return self._place

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Stay readable: the last bytes are drained after the writer has closed."""

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False
