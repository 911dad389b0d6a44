"""The AWS SDK for JavaScript v3 (tests/js): CloudWatch in JSON and in CBOR, and a group behind a load balancer from nothing to nothing."""

import os
import shutil
import subprocess

import pytest

from conftest import ROOT, SLOW, free_port

MODULES = ROOT / "build/js/node_modules"
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (MODULES / "@aws-sdk").is_dir(),
    reason="node or the SDK is not there: see tests/js/install.sh",
)


def node(script, *words, timeout=60):
    done = subprocess.run(
        ["node", ROOT / "tests/js" / script, *words],
        env=dict(os.environ, NODE_PATH=str(MODULES), NODE_NO_WARNINGS="1"),
        capture_output=True,
        text=True,
        timeout=timeout * SLOW,
    )
    assert done.returncode == 0 and done.stdout == "done\n", done.stdout + done.stderr


@pytest.mark.parametrize("protocol", ["json", "cbor"])
def test_cloudwatch_in_both_of_the_new_protocols(programs, protocol):
    port = free_port()
    path = programs.config({"Scaler": {"ApiAddress": f"127.0.0.1:{port}"}})
    programs.start("albatross-scaler", "-c", path).wait_log("started api")
    node("cloudwatch.js", f"http://127.0.0.1:{port}", protocol)


def empty(document):
    for member in list(document):
        if member not in ("Lab", "Lb", "Scaler"):
            del document[member]


def test_a_group_behind_a_load_balancer_is_made_used_and_removed(start_lab):
    lab = start_lab(edit=empty, ready=False)
    lab.program.wait_log("^ready ")
    node("flow.js", lab.aws, timeout=150)
