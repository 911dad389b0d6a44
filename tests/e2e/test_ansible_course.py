"""Real Ansible builds a course's whole laboratory, finds it unchanged, changes it in place, removes it."""

import re

import pytest

import conftest as shared
import playbooks
import whole_lab


@pytest.mark.unhurried
@pytest.mark.timeout(1500)
def test_a_playbook_builds_the_whole_lab_keeps_it_changes_it_and_takes_it_away(
    start_lab, programs
):
    playbooks.require()
    lab, before = whole_lab.start_empty(start_lab)
    port = shared.free_port()

    def play(*more, **variables):
        return playbooks.play(
            programs.folder,
            "course.yml",
            *more,
            endpoint=lab.aws,
            port=port,
            **variables,
        )

    output, changed = play()
    assert changed == 12, output
    web = f"http://{re.search(r'web=([0-9.]+)', output).group(1)}:{port}"
    whole_lab.assert_whole(lab, before)
    # The group's task waited for healthy targets.
    assert whole_lab.get(f"{web}/") == "hello\n"
    assert whole_lab.get(f"{web}/about") == "the course says hello"
    assert whole_lab.get(f"{web}/old/page") == "hello\n"  # redirected
    first = lab.in_service("course")
    assert len(first) == 2

    output, changed = play()
    assert changed == 0, output
    assert lab.in_service("course") == first

    output, changed = play(greeting="salama", replace="true")
    assert changed == 4, output  # template, load balancer, group, alarms
    assert whole_lab.get(f"{web}/about") == "the course says salama"
    assert {whole_lab.get(f"{web}/") for _ in range(4)} == {"salama\n"}
    assert not set(lab.in_service("course")) & set(first)

    output, changed = play("--tags", "destroy")
    assert changed == 9, output
    whole_lab.wait_gone(lab, before)
