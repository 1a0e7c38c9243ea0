"""A TCP proxy between processes and what they depend on: it can cut, hold back and delay what passes."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

PIECE = 1 << 16


class Proxy:
    """Passes bytes from a port of this machine to another port or to a Unix socket, until it is told otherwise."""

    def __init__(self, target: tuple[str, int] | str) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._flows: set[asyncio.Task[None]] = set()
        self._refuses = False
        self._delay_s = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._server = self._do(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        self._refuses = True
        self._do(self._end_all())

    def hold(self) -> None:
        """Take connections and bytes, and pass nothing on."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def delay(self, seconds: float) -> None:
        """Pass every piece on so much later."""
        self._delay_s = seconds

    def mend(self) -> None:
        """Pass everything on again; what was held back arrives late."""
        self._refuses = False
        self._delay_s = 0.0
        self._loop.call_soon_threadsafe(self._open.set)

    def close(self) -> None:
        self._server.close()
        self._do(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._flows.add(task)
        onward: asyncio.StreamWriter | None = None
        try:
            if isinstance(self._target, str):
                answers, onward = await asyncio.open_unix_connection(self._target)
            else:
                answers, onward = await asyncio.open_connection(*self._target)
            ways = [asyncio.create_task(self._pass(reader, onward)), asyncio.create_task(self._pass(answers, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
        except (OSError, asyncio.CancelledError):
            # The other side is away, or the connection was cut: this side sees the same.
            pass
        finally:
            self._flows.discard(task)
            for stream in (writer, onward):
                if stream is not None:
                    stream.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._open.wait()
                writer.write(piece)
                await writer.drain()

    async def _end_all(self) -> None:
        flows = list(self._flows)
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)
