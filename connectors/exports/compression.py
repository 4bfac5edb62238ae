"""Bytes compressed as they come, with what Arrow brings along; in threads, without the GIL."""

import pyarrow as pa

from connectors.exports.sink import Sink


class Compressor:
    """One compressed stream; every piece can be decompressed as soon as it arrives."""

    def __init__(self, encoding: str) -> None:
        """Start a stream in ``zstd`` or ``gzip``."""
        self._sink = Sink()
        self._stream = pa.CompressedOutputStream(pa.PythonFile(self._sink, "w"), encoding)

    def compress(self, data: bytes | memoryview) -> bytes:
        """Return the compressed form of ``data``."""
        self._stream.write(data)
        self._stream.flush()
        return self._sink.drain()

    def finish(self) -> bytes:
        """Return the end of the stream."""
        self._stream.close()
        return self._sink.drain()
