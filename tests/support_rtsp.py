"""A small RTSP server: one picture, again and again, as motion JPEG over its connection (RFC 2326, 2435)."""

import base64
import io
import itertools
import socketserver
import struct
import threading
import time

import numpy as np
from PIL import Image

_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 26\r\na=control:track\r\n"
)
_PER_PACKET = 1200
_CLOCK_HZ, _FPS = 90_000, 25


class RtspServer(socketserver.ThreadingTCPServer):
    """Serves `pixels`, uint8 (H, W, 3), sides multiples of 16, to those who know `user` and `password`.

    Each connection ends after `frames` pictures, as when somebody pulls the plug; with `stalls`, it stays and
    gives none.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self, pixels: np.ndarray, *, user: str, password: str, frames: int, stalls: bool = False
    ) -> None:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling="4:2:0")
        self.tables, self.scan = _taken_apart(buffer.getvalue())
        self.sides = pixels.shape[1] // 8, pixels.shape[0] // 8
        self.frames, self.stalls = frames, stalls
        self.over = threading.Event()
        self.credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.methods: list[str] = []
        super().__init__(("127.0.0.1", 0), _Session)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Session(socketserver.StreamRequestHandler):
    server: RtspServer
    timeout = 30

    def handle(self) -> None:
        while (request := self._request()) is not None:
            method, number, authorization = request
            self.server.methods.append(method)
            if authorization != f"Basic {self.server.credentials}":
                self._answer(number, "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"')
            elif method == "DESCRIBE":
                self._answer(number, "200 OK", "Content-Type: application/sdp", body=_SDP)
            elif method == "SETUP":
                self._answer(number, "200 OK", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 7")
            else:
                self._answer(number, "200 OK", "Session: 7", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN")
            if method == "PLAY":
                self._play()
                return

    def _request(self) -> tuple[str, str, str] | None:
        lines = []
        while line := self.rfile.readline().decode("latin-1").strip():
            lines.append(line)
        if not lines:
            return None
        return lines[0].split()[0], _header("CSeq", lines), _header("Authorization", lines)

    def _answer(self, number: str, status: str, *headers: str, body: str = "") -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {number}", *headers, f"Content-Length: {len(body)}", "", body]
        self.wfile.write("\r\n".join(lines).encode())

    def _play(self) -> None:
        numbers = itertools.count()
        try:
            for frame in range(self.server.frames):
                for packet in self._packets(frame, numbers):
                    self.wfile.write(b"$\0" + struct.pack("!H", len(packet)) + packet)
                time.sleep(1 / _FPS)
            if self.server.stalls:
                self.server.over.wait(60)
        except OSError:
            return  # whoever watched has left

    def _packets(self, frame: int, numbers: "itertools.count[int]"):
        scan, (width, height) = self.server.scan, self.server.sides
        for offset in range(0, len(scan), _PER_PACKET):
            part = scan[offset : offset + _PER_PACKET]
            last = offset + _PER_PACKET >= len(scan)
            stamp = frame * _CLOCK_HZ // _FPS
            rtp = struct.pack("!BBHII", 0x80, 26 | last << 7, next(numbers) & 0xFFFF, stamp, 0x5EED)
            jpeg = struct.pack("!IBBBB", offset, 1, 255, width, height)  # type 1: 4:2:0; 255: tables follow
            tables = struct.pack("!BBH", 0, 0, len(self.server.tables)) + self.server.tables
            yield rtp + jpeg + (b"" if offset else tables) + part


def _header(name: str, lines: list[str]) -> str:
    values = [line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name.lower()}:")]
    return values[0] if values else ""


def _taken_apart(jpeg: bytes) -> tuple[bytes, bytes]:
    """Return the quantization tables and the coded picture of a JPEG: all that travels."""
    tables, at = b"", 2
    while True:
        marker, length = jpeg[at + 1], struct.unpack("!H", jpeg[at + 2 : at + 4])[0]
        content = jpeg[at + 4 : at + 2 + length]
        if marker == 0xDB:
            tables += b"".join(content[i + 1 : i + 65] for i in range(0, len(content), 65))
        at += 2 + length
        if marker == 0xDA:
            return tables, jpeg[at:-2]
