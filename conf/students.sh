#!/bin/bash
# User data of the students lab: a small HTTP application on port 8000, in Python's standard library.
# It runs as it is on EC2 too: there HOST and the metadata endpoint have their usual values.

cat > students.py <<'PYTHON'
import asyncio, json, os, signal, sys, urllib.request
from urllib.parse import unquote

HOST, PORT = os.environ.get("HOST", "0.0.0.0"), 8000
METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")
GREETINGS = {"hello": "Hello", "bonjour": "Bonjour", "salama": "Salama"}
NAMES = """Aina Bako Clara Diary Elena Feno Gabriel Haja Ines Jao Kanto Lala Miora Naivo Onja Paul
           Rado Soa Tiana Voahangy""".split()


def metadata(path):
    """Asks the instance metadata service, version 2: first a token, then the question."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    ask = urllib.request.Request(METADATA + "/latest/api/token", method="PUT", headers=ttl)
    token = urllib.request.urlopen(ask, timeout=5).read().decode()
    ask = urllib.request.Request(METADATA + "/latest/meta-data/" + path)
    ask.add_header("X-aws-ec2-metadata-token", token)
    return urllib.request.urlopen(ask, timeout=5).read().decode()


INSTANCE, ZONE = metadata("instance-id"), metadata("placement/availability-zone")


def students():
    """The average mark of each student, worked out anew every time: this is the CPU load."""
    rows = []
    for number, name in enumerate(NAMES, 1):
        mark, total = number, 0
        for _ in range(400):
            mark = (mark * 1103515245 + 12345) % 2147483648
            total += mark >> 16
        rows.append({"id": number, "name": name, "average": f"{total / 400 % 100:05.2f}"})
    return json.dumps(rows) + "\n"


def answer(path):
    """Status, content type and text for a path."""
    first, _, name = path.strip("/").partition("/")
    if path == "/":
        return "200 OK", "text/plain", f"This is instance {INSTANCE} in {ZONE}.\n"
    if path == "/students":
        return "200 OK", "application/json", students()
    if first in GREETINGS and name:
        text = f"{GREETINGS[first]} {unquote(name)}, from instance {INSTANCE}.\n"
        return "200 OK", "text/plain", text
    return "404 Not Found", "text/plain", "There is nothing here.\n"


async def read_request(reader):
    """One request: its method, path, and whether the connection stays open after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.split("\r\n")
    method, target, version = line.split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in rest if h)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    wish = headers.get("connection", "").lower()
    keep = wish != "close" if version == "HTTP/1.1" else wish == "keep-alive"
    return method, target.split("?")[0], keep


class Application:
    def __init__(self):
        self.idle, self.busy, self.stopping = set(), 0, asyncio.Event()

    async def serve(self, reader, writer):
        keep = True
        try:
            while keep and not self.stopping.is_set():
                self.idle.add(writer)
                method, path, keep = await read_request(reader)
                self.idle.discard(writer)
                self.busy += 1
                try:
                    keep = self.respond(writer, method, path, keep)
                    await writer.drain()
                finally:
                    self.busy -= 1
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass  # the client went away, or does not speak HTTP
        finally:
            self.idle.discard(writer)
            writer.close()

    def respond(self, writer, method, path, keep):
        status, kind, text = answer(path)
        keep = keep and not self.stopping.is_set()
        body = text.encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nX-Instance: {INSTANCE}\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        writer.write(head.encode() + (b"" if method == "HEAD" else body))
        return keep

    async def run(self):
        server = await asyncio.start_server(self.serve, HOST, PORT, backlog=1024)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        print(f"instance {INSTANCE} serves http://{HOST}:{PORT}", flush=True)
        await self.stopping.wait()
        server.close()  # no new connections; the requests under way are finished
        for writer in list(self.idle):
            writer.close()
        for _ in range(150):
            if not self.busy:
                break
            await asyncio.sleep(0.01)


try:
    asyncio.run(Application().run())
except OSError as error:
    sys.exit(f"students.py: {error}")
PYTHON

python3 students.py &
application=$!

# An instance whose application does not come up has failed to boot, and says so.
for _ in $(seq 100); do
  kill -0 $application || { wait $application; exit 1; }
  (: > "/dev/tcp/${HOST:-127.0.0.1}/8000") 2> /dev/null && exit 0
  sleep 0.1
done
echo "the application did not answer on port 8000 within 10 s"
exit 1
