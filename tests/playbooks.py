"""The real ansible-playbook with the AWS collections, where a machine has it; skips loudly where it has not."""

import os
import re
import shutil
import subprocess
import warnings

import pytest

import conftest as shared


def require():
    if not shutil.which("ansible-playbook"):
        why = "ANSIBLE NOT TESTED: ansible-playbook is not installed"
        warnings.warn(why)
        pytest.skip(why)


def play(folder, playbook, *more, timeout=600, **variables):
    """Runs a playbook of tests/data/ansible on this machine; its output, and how many tasks changed something."""
    require()
    words = ["ansible-playbook", "-i", "localhost,", *more]
    for name, value in variables.items():
        words += ["-e", f"{name}={value}"]
    done = subprocess.run(
        [*words, str(shared.ROOT / "tests/data/ansible" / playbook)],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(folder / "ansible/tmp"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "ansible/remote"),
        },
        capture_output=True,
        text=True,
        timeout=timeout * shared.SLOW,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    recap = re.search(r"^localhost .* changed=(\d+) ", done.stdout, re.M)
    return done.stdout, int(recap.group(1))
