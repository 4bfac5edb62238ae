"""A TCP relay that makes a line long: every byte arrives later, none is lost or held back.

Run as a program it prints its port and relays until it is stopped. The window growth of a
real long line is not modelled.

    .venv/bin/python benchmarks/long_line.py TARGET_PORT ROUND_TRIP_MILLISECONDS
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress


async def _copy(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_seconds: float
) -> None:
    loop = asyncio.get_running_loop()

    def later(action: Callable[[], None]) -> None:
        loop.call_later(delay_seconds, action)

    while data := await source.read(1 << 18):
        later(lambda data=data: None if sink.is_closing() else sink.write(data))  # type: ignore[misc]
    later(sink.close)


async def _serve(target_port: int, delay_seconds: float) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target_port)
        # A client that leaves resets its connection; that is no news here.
        with suppress(ConnectionError):
            await asyncio.gather(
                _copy(reader, far_writer, delay_seconds), _copy(far_reader, writer, delay_seconds)
            )

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 2000))
