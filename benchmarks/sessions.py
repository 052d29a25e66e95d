"""Visitors without a browser: sessions that speak Streamlit's protocol over a websocket, as the browser's page does.

A view is asked for by its address, as a link or the Back button does; it is there when the server says that the
script has ended. Messages that a browser keeps are kept by their hash here, too, so that the server sends as much."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

PATIENCE = 120.0  # seconds


class Session:
    """One visitor. `received`: bytes of all messages so far; `wrong`: what the app or the connection complained of."""

    def __init__(self, address: str) -> None:
        self._address = address.replace("http", "ws", 1) + "/_stcore/stream"
        self._kept: list[str] = []
        self._socket: ClientConnection | None = None
        self.received = 0
        self.wrong: list[str] = []

    async def __aenter__(self) -> Session:
        protocols = [Subprotocol("streamlit")]
        self._socket = await connect(self._address, subprotocols=protocols, max_size=None, compression=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def view(self, page: str, query: str = "") -> float:
        """Seconds until the view is there whole. Raises TimeoutError after PATIENCE seconds."""
        asked = BackMsg()
        request = asked.rerun_script
        request.page_name, request.query_string = page, query
        request.cached_message_hashes.extend(self._kept[-500:])
        request.context_info.url = f"{self._address.replace('ws', 'http', 1).partition('/_stcore')[0]}/{page}"
        request.widget_states.SetInParent()
        started = time.perf_counter()
        assert self._socket is not None, "views are asked for inside `async with`"
        await self._socket.send(asked.SerializeToString())
        async with asyncio.timeout(PATIENCE):
            while not self._take(await self._socket.recv(decode=False)):
                pass
        return time.perf_counter() - started

    def _take(self, data: bytes) -> bool:
        """Note a message; True for the one that ends a run."""
        self.received += len(data)
        message = ForwardMsg.FromString(data)
        if message.metadata.cacheable and message.hash not in self._kept:
            self._kept.append(message.hash)
        kind = message.WhichOneof("type")
        if kind == "page_not_found":
            self.wrong.append("page not found")
        elif kind == "delta":
            element = message.delta.new_element
            if element.HasField("exception"):
                self.wrong.append(element.exception.message)
            elif element.HasField("alert") and element.alert.format == Alert.ERROR:
                self.wrong.append(element.alert.body)
        elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.wrong.append("compile error")
        return kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
