"""Targets that behave as told, connections that send exact bytes, and configurations, for the load balancer's tests."""

import hashlib
import http.server
import json
import re
import select
import socket
import threading
import urllib.parse


def pattern(n):
    """n bytes that are not the same anywhere, cheap to make."""
    block = b"".join(i.to_bytes(4, "big") for i in range(16384))
    return (block * (n // len(block) + 1))[:n]


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment an answer: Nagle and delayed ACKs would cost 40 ms each.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def read_chunked(self):
        body = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self.read_chunked()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_chunked(self, body, size=1000):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(0, len(body), size):
            part = body[i : i + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def serve(self):
        backend = self.server.backend
        url = urllib.parse.urlsplit(self.path)
        body = self.read_body()
        if self.headers.get("User-Agent", "").startswith("ELB-HealthChecker"):
            backend.probes.append(self.headers.items())
            return self.answer(b"ok", backend.health)
        backend.requests.append(f"{self.command} {self.path}")
        parts = url.path.strip("/").split("/")
        action = getattr(self, f"on_{parts[0]}", None)
        if action:
            return action(body, parts[1:])
        self.answer(backend.name.encode(), 500 if backend.fails else 200)

    def on_echo(self, body, _):
        self.answer(
            body, X_Sha256=digest(body), X_Framing=",".join(self.framing()) or "none"
        )

    def framing(self):
        wanted = ("transfer-encoding", "content-length", "expect")
        return [f"{k}={v}" for k, v in self.headers.items() if k.lower() in wanted]

    def on_headers(self, _, __):
        self.answer(json.dumps(self.headers.items()).encode())

    def on_big(self, _, parts):
        self.answer(pattern(int(parts[0])))

    def on_chunked(self, _, parts):
        self.answer_chunked(pattern(int(parts[0])))

    def on_status(self, _, parts):
        self.answer(b"status", int(parts[0]))

    def on_login(self, _, parts):
        self.answer(
            self.server.backend.name.encode(), Set_Cookie=f"{parts[0]}=1; Path=/"
        )

    def on_close(self, _, __):
        self.close_connection = True

    def on_garbage(self, _, __):
        self.wfile.write(b"not HTTP at all\r\n\r\n")
        self.close_connection = True

    def on_hold(self, _, parts):
        """Answers when the test says so."""
        backend = self.server.backend
        backend.holding.release()
        backend.go.wait(60)
        self.answer(b"held")

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_OPTIONS = do_PATCH = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, address):
        pass  # clients that go away are part of the tests


class Backend:
    """A target in this process."""

    def __init__(self, name, port=0, host="127.0.0.1"):
        self.name = name
        self.requests, self.probes = [], []
        self.health = 200
        self.fails = False  # plain requests, not probes
        self.go = threading.Event()
        self.holding = threading.Semaphore(0)
        self.server = Server((host, port), Handler)
        self.server.backend = self
        self.host, self.port = self.server.server_address
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.thread.start()

    def stop(self):
        if self.thread:
            self.go.set()
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()
            self.thread = None

    @property
    def target(self):
        return {"Id": self.host, "Port": self.port}


class Answer:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.status = int(lines[0].split(" ")[1])
        self.headers = [line.split(": ", 1) for line in lines[1:]]
        self.body = body

    def header(self, name, otherwise=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return otherwise


class Wire:
    """A client connection that sends what it is told, byte for byte."""

    def __init__(self, port, host="127.0.0.1", timeout=20):
        self.socket = socket.create_connection((host, port), timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def read_head(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            if not line:
                raise ConnectionError(f"the connection ended in {head!r}")
            head += line
        return head[:-4]

    def read_chunks(self):
        pieces = []
        while True:
            size = int(self.file.readline(), 16)
            pieces.append(self.file.read(size))
            self.file.readline()
            if size == 0:
                return b"".join(pieces)

    def read(self, method="GET"):
        """One answer, with its body."""
        answer = Answer(self.read_head(), b"")
        length = answer.header("Content-Length")
        if method == "HEAD" or answer.status in (100, 204, 304):
            return answer
        if answer.header("Transfer-Encoding") == "chunked":
            answer.body = self.read_chunks()
        elif length is not None:
            answer.body = self.file.read(int(length))
        else:
            answer.body = self.file.read()
        return answer

    def get(self, path="/", *headers, method="GET", version="1.1", host="a.example"):
        lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", *headers, "", ""]
        return self.send("\r\n".join(lines)).read(method)

    def has_answer(self, within):
        """Is there something to read, at the latest after so many seconds?"""
        return bool(select.select([self.socket], [], [], within)[0])

    def is_closed(self):
        """Waits for the other side to end the connection."""
        try:
            return self.file.read(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


def group(name, *backends, **more):
    return {
        "TargetGroupName": name,
        "TargetType": "ip",
        "Protocol": "HTTP",
        "Port": 80,
        "HealthCheckIntervalSeconds": 1,
        "HealthCheckTimeoutSeconds": 1,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 2,
        "Targets": [b.target for b in backends],
        **more,
    }


def forward(name):
    return [{"Type": "forward", "TargetGroupArn": name}]


def rule(priority, path, actions):
    return {
        "Priority": priority,
        "Conditions": [
            {"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}
        ],
        "Actions": actions,
    }


def fixed(status, text=""):
    config = {
        "StatusCode": str(status),
        "ContentType": "text/plain",
        "MessageBody": text,
    }
    return [{"Type": "fixed-response", "FixedResponseConfig": config}]


def read_case(path):
    """(expectation, bytes) of a file in raw/: '# expect: 400 closed', then the request with \\r\\n written out."""
    text = path.read_text()
    expect = re.search(r"^# expect: (.*)$", text, re.M)[1].split()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    data = "".join(lines).encode("latin-1").decode("unicode_escape").encode("latin-1")
    return expect, re.sub(
        rb"<(.)\*(\d+)>", lambda m: m[1] * int(m[2]), data, flags=re.S
    )
