"""What the docs say and what is there must be the same."""

import pathlib
import re
import subprocess
import sys

import pytest

from conftest import BIN, ROOT


def test_the_list_of_actions_is_current():
    done = subprocess.run([sys.executable, "tools/api_doc.py", "--check"], cwd=ROOT)
    assert done.returncode == 0


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "conf").glob("*.json")))
@pytest.mark.parametrize(
    "program", ["albatross-lb", "albatross-scaler", "albatross-lab"]
)
def test_each_example_configuration_passes_the_check_of_each_program(program, name):
    done = subprocess.run(
        [BIN / program, "-t", "-c", ROOT / "conf" / name],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"{ROOT / 'conf' / name}: good\n"


@pytest.mark.parametrize(
    "program", ["albatross-lb", "albatross-scaler", "albatross-lab"]
)
@pytest.mark.parametrize(
    "text,why",
    [
        ('{ "Lb": { "Workers": 1, }', r"bad.json:1:\d+: "),
        ('{"Lb": {"Wrokers": 1}}', r"bad.json: Lb.Wrokers: .*did you mean Workers"),
        ('{"Lb": {"Workers": 0}}', r"bad.json: Lb.Workers: 0 is not in 1..256"),
        (
            '{"Lab": {"ApiAddress": "0.0.0.0:7003"}}',
            r"Lab.ApiAddress: .*configure Credentials",
        ),
        (
            '{"Scaler": {"ApiAddress": "127.0.0.1:99999"}}',
            r"Scaler.ApiAddress: .*IP:PORT is meant",
        ),
        ('{"Lb": {"StateUrl": "etcd:x"}}', r"Lb.StateUrl: etcd: is not supported yet"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_the_place(
    program, text, why, tmp_path
):
    (tmp_path / "bad.json").write_text(text)
    for more in (["-t"], []):
        done = subprocess.run(
            [BIN / program, *more, "-c", tmp_path / "bad.json"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 1 and done.stdout == ""
        assert re.search(why, done.stderr.splitlines()[0]), done.stderr


@pytest.mark.parametrize(
    "program", ["albatross-lb", "albatross-scaler", "albatross-lab"]
)
def test_help_names_every_option_and_version_prints_one_line(program):
    done = subprocess.run(
        [BIN / program, "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    for option in ("-c", "-t", "-v", "--help", "--version"):
        assert option in done.stdout
    done = subprocess.run(
        [BIN / program, "--version"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert re.fullmatch(rf"{program} \S+\n", done.stdout)


def test_files_and_folders_that_the_docs_name_exist():
    for page in [
        ROOT / "README.md",
        ROOT / "HACKING.md",
        *(ROOT / "docs").glob("*.md"),
    ]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
        for path in re.findall(
            r"`((?:conf|docs|tools|tests|bench)/[\w./-]+)`", page.read_text()
        ):
            assert pathlib.Path(ROOT / path).exists(), f"{page.name}: {path}"


def test_each_fuzzer_has_its_corpus_replayed_by_a_unit_test():
    for fuzzer in (ROOT / "tests/fuzz").glob("fuzz_*.c"):
        name = f"test_{fuzzer.name}"
        assert list((ROOT / "tests/unit").glob(f"*/{name}")), f"no {name}"


def table(page, title):
    """The rows of the table under a heading."""
    part = (
        (ROOT / "docs" / page).read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    )
    return [line for line in part.splitlines() if line.startswith("| ")][2:]


def test_each_row_of_the_checklist_names_tests_that_exist():
    sources = "".join(
        p.read_text()
        for p in (ROOT / "tests").rglob("test_*")
        if p.suffix in (".c", ".py")
    )
    there = set(re.findall(r"(?:static void|def) (\w+)\(", sources))
    rows = table("load-balancer.md", "The checklist")
    assert [int(row.split()[1]) for row in rows] == list(range(1, 21))
    for row in rows:
        named = re.findall(r"`(\w+)`", row)
        assert any(f"c14_{row.split()[1]}_" in name for name in named), row
        assert set(named) <= there, f"{set(named) - there} of: {row}"


def test_each_attribute_is_in_the_docs():
    page = (ROOT / "docs/load-balancer.md").read_text()
    for name in ("attributes.c", "target_group_attributes.c"):
        source = (ROOT / "lb/api" / name).read_text()
        source = re.sub(
            r'HEALTH\("(\w+)"\) "',
            r'"target_group_health.\1.minimum_healthy_targets',
            source,
        )
        keys = re.findall(r'\{"([a-z0-9_]+\.[a-z0-9_.]+)", "', source)
        keys += [
            f"routing.http.response.{x}.header_value"
            for x in re.findall(r'RESPONSE_HEADER\("(\w+)"\)', source)
        ]
        assert len(keys) > 10
        for key in keys:
            assert f"`{key}`" in page, key


def test_each_metric_is_in_the_docs_and_there():
    sent = re.findall(
        r'"(\w+)", "(?:Count|Bytes)"', (ROOT / "lb/observe/counters.h").read_text()
    )
    source = (ROOT / "lb/control/metric_data.c").read_text()
    sent += re.findall(r'add_value\(context, "(\w+)"', source) + ["TargetResponseTime"]
    assert len(set(sent)) > 30
    rows = table("load-balancer.md", "Metrics")
    have = [r for r in rows if re.search(r"\| (same|better)", r)]
    told = re.findall(r"\b[A-Z]\w+", " ".join(r.split("|")[1] for r in have))
    assert set(told) == set(sent)


def test_each_status_and_condition_is_in_the_docs():
    sources = "".join(p.read_text() for p in (ROOT / "lb").rglob("*.c"))
    statuses = set(re.findall(r'\{(4\d\d|5\d\d), "\1[ "]', sources))
    assert len(statuses) > 12
    rows = table("load-balancer.md", "Statuses that we generate")
    told = set(re.findall(r"\b\d{3}\b", " ".join(r.split("|")[1] for r in rows)))
    assert statuses - {"404", "429"} <= told  # those two are for fixed responses
    page = (ROOT / "docs/load-balancer.md").read_text()
    fields = re.findall(
        r'"([a-z]+-[a-z-]*[a-z])"', (ROOT / "lb/api/rule_conditions.c").read_text()
    )
    fields += ["forward", "redirect", "fixed-response", "url-rewrite"]
    assert "host-header" in fields
    for field in fields:
        assert f"`{field}`" in page, field
    assert "(issue 3)" not in page


def test_no_test_sleeps_where_it_could_wait():
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name != "conftest.py":
            assert not re.search(r"^\s*time\.sleep\(", path.read_text(), re.M), path
