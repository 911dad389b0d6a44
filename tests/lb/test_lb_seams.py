"""What must not know which protocol it serves does not: by its includes and by its words."""

import glob
import os
import re

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROTOCOLS = re.compile(r"lb/proxy/(http1\w*|\w+_h1)\.h|llhttp\.h|nghttp2/")
WORDS = re.compile(r"\b(h1_\w+|\w+_h1\w*|llhttp\w*|chunked)\b")
NEUTRAL = [
    "lb/routing/*.[ch]",
    "lb/observe/*.[ch]",
    "lb/api/*.[ch]",
    "lb/proxy/exchange*.[ch]",
    "lb/proxy/message.[ch]",
    "lb/proxy/affinity.[ch]",
    "lb/proxy/transform.[ch]",
    "lb/proxy/conn.[ch]",
    "lb/proxy/worker.[ch]",
    "lb/proxy/client.[ch]",
    "lb/proxy/upstream.h",
]
FILES = sorted(
    os.path.relpath(path, TREE)
    for pattern in NEUTRAL
    for path in glob.glob(os.path.join(TREE, pattern))
)


def includes(path):
    with open(os.path.join(TREE, path), encoding="utf-8") as file:
        return re.findall(r'^#include [<"]([^>"]+)[>"]', file.read(), re.M)


def reach(path, seen):
    """Everything that the file includes, at however many removes, with the way to it."""
    for header in includes(path):
        if header in seen:
            continue
        seen[header] = path
        if os.path.exists(os.path.join(TREE, header)):
            reach(header, seen)
    return seen


def test_there_are_files_to_look_at():
    assert "lb/proxy/exchange.c" in FILES and "lb/routing/rules.c" in FILES
    assert any(PROTOCOLS.search(header) for header in includes("lb/proxy/client_h1.h"))


def test_no_header_of_a_protocol_is_included():
    found = {
        (path, header): by
        for path in FILES
        for header, by in reach(path, {}).items()
        if PROTOCOLS.search(header)
    }
    assert not found


def test_the_exchange_routing_and_logging_name_no_protocol():
    found = {}
    for path in FILES:
        # The desync classifier judges HTTP/1 heads by what they say; it reads none.
        if not re.search(r"/(exchange|routing|observe)", path) or "desync" in path:
            continue
        with open(os.path.join(TREE, path), encoding="utf-8") as file:
            code = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        if WORDS.search(code):
            found[path] = sorted(set(WORDS.findall(code)))
    assert not found
