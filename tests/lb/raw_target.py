"""A target that records every byte it gets, by connection, and answers as it is told."""

import re
import socket
import threading

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Target:
    """Listens, and serves each connection in a thread of its own."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host, self.port = self.listener.getsockname()
        self.target = {"Id": self.host, "Port": self.port}
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def close(self):
        self.listener.close()


class RawTarget(Target):
    """answer(request bytes) -> the bytes to send; b"" closes; a list is sent piece by piece, and a
    None in it closes the connection."""

    def __init__(self, answer=lambda request: OK, banner=None):
        self.answer, self.banner = answer, banner
        self.connections = []  # bytearrays; health checks are none
        self.name = "raw"
        super().__init__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def serve(self, connection):
        with connection:
            try:
                self.talk(connection)
            except OSError:
                pass

    def talk(self, connection):
        seen, pending = bytearray(), b""
        if self.banner:
            connection.sendall(self.banner)
            return
        while True:
            data = connection.recv(65536)
            if not data:
                return
            pending += data
            if b"ELB-HealthChecker" in pending:
                connection.sendall(OK)
                return
            if not seen:
                self.connections.append(seen)
            seen += data
            while True:
                request, pending = split_request(pending)
                if request is None:
                    break
                if not self.send(connection, self.answer(request)):
                    return

    def send(self, connection, answer):
        pieces = answer if isinstance(answer, list) else [answer]
        for piece in pieces:
            if not piece:
                return False
            connection.sendall(piece)
        return True

    def requests(self):
        """Every request of every connection, (head line, body); what does not parse is an error."""
        found = []
        for data in self.connections:
            rest = bytes(data)
            while rest:
                request, left = split_request(rest)
                if request is None:
                    found.append(("unfinished", rest))
                    break
                head, _, _ = request.partition(b"\r\n\r\n")
                found.append((head.split(b"\r\n")[0].decode("latin-1"), request))
                rest = left
        return found


def split_request(data):
    """(one whole request, what follows), or (None, data).  Takes nothing but the strictest form."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None, data
    lines = head.split(b"\r\n")
    assert re.fullmatch(rb"[!-~]+ [!-~]+ HTTP/1\.1", lines[0]), lines[0]
    fields = {}
    for line in lines[1:]:
        match = re.fullmatch(
            rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t -~\x80-\xff]*)", line
        )
        assert match, line
        fields.setdefault(match[1].lower(), []).append(match[2])
    lengths, codings = fields.get(b"content-length", []), fields.get(
        b"transfer-encoding", []
    )
    assert len(lengths) + len(codings) <= 1, head
    assert codings in ([], [b"chunked"]), head
    for name in fields:
        plain = re.sub(rb"[^a-z]", b"", name)
        assert plain not in (b"contentlength", b"transferencoding") or b"-" in name
    used = take_chunks(rest) if codings else int(lengths[0]) if lengths else 0
    if used is None or used > len(rest):
        return None, data
    at = len(head) + 4 + used
    return data[:at], data[at:]


def take_chunks(rest):
    """How many bytes the chunked body has; None when it is not all there."""
    at = 0
    while True:
        end = rest.find(b"\r\n", at)
        if end < 0:
            return None
        line = rest[at:end]
        assert re.fullmatch(rb"[0-9a-f]+", line), line
        size = int(line, 16)
        at = end + 2 + size
        if len(rest) < at + 2:
            return None
        assert rest[at : at + 2] == b"\r\n"
        at += 2
        if size == 0:
            return at
