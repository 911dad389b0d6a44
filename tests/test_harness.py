"""What the tests stand on: that a failure can still say what the programs logged."""

import pathlib
import tempfile

import conftest as shared


def test_a_log_can_be_read_when_the_tests_folder_is_gone():
    with tempfile.TemporaryDirectory(prefix="albatross-test-") as folder:
        programs = shared.Programs(pathlib.Path(folder))
        status, output = programs.run("albatross-lb", "--version")
        assert status == 0 and "albatross" in output
        assert programs.finish() == []
    assert not pathlib.Path(folder).exists()
    assert output in programs.logs()
