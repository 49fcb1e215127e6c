"""A client that serves the chunks that are asked of it, for what carries out signed orders."""

import hashlib
import threading

from slimcast_edge.wire import ArtifactRef


class ChunkHost:
    """The client around a desk: serves what is asked for, unless told otherwise; `chunk` takes them."""

    def __init__(self, *contents):
        self.connected = True
        self.files = {sha(content): content for content in contents}
        self.chunk = None
        self.asked, self.replies, self.pauses, self.listening = [], [], [], []
        self.spoil = False
        self.mute = False

    def ask(self, want):
        self.asked += want.chunks
        if self.mute:
            return
        content = self.files[want.artifact]
        for number in want.chunks:
            chunk = content[number * want.chunk_bytes : (number + 1) * want.chunk_bytes]
            chunk = bytes(len(chunk)) if self.spoil else chunk
            threading.Thread(target=self.chunk, args=(want.artifact, number, chunk)).start()

    def listen(self, sha256, on):
        self.listening.append(on)

    def pause(self, on):
        self.pauses.append(on)

    def answer(self, reply):
        self.replies.append(reply)


def sha(content):
    return hashlib.sha256(content).hexdigest()


def ref(content, name="m"):
    return ArtifactRef(sha256=sha(content), size_bytes=len(content), chunk_bytes=1024, name=name)
