"""What the benchmark says: the table, bench.json, bench.svg, and whether a target is met."""

import datetime
import html
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess

import rows

# figure: title, format, how much the file's unit is of the table's
COLUMNS = (
    ("rate", "requests/s", "{:,.0f}"),
    ("cpu_us", "CPU µs/request", "{:.2f}"),
    ("cpu_even", "at even load", "{:.2f}"),
    ("p50", "p50 µs", "{:.0f}"),
    ("p99", "p99 µs", "{:.0f}"),
    ("p99.9", "p99.9 µs", "{:.0f}"),
    ("max", "max µs", "{:.0f}"),
    ("failed", "failed", "{:.0f}"),
    ("reload_s", "reload s", "{:.1f}"),
    ("bytes", "bytes", "{:,.0f}"),
)
# Of contestants in the chart, told apart without colour by their names beside the bars.
COLOURS = {rows.LB: "#d9480f", rows.NGINX: "#2b8a3e", rows.HAPROXY: "#1864ab"}
OTHER_COLOUR = "#868e96"


def verdict(text, value, is_met, form):
    return {
        "text": text,
        "value": value,
        "said": form.format(value),
        "is_met": bool(is_met),
    }


def judge(check, label, figures):
    """The verdict on our build label, from the ratio of medians; None when a side was left out."""

    def samples(name):
        if label is not None and name.split(" ")[0] == rows.LB:
            name = label + name[len(rows.LB) :]
        return figures.get(name, {}).get(check.figure, [])

    of, to = samples(check.of), samples(check.to)
    if not of or not to:
        return None
    ratio = statistics.median(of) / statistics.median(to)
    each = [a / b for a, b in zip(of, to)]
    text = check.text if label in (None, rows.LB) else f"{label}: {check.text}"
    found = verdict(text, ratio, check.is_met(ratio), "{:.2f}")
    low, high = spread(each)
    return found | {"low": low, "high": high}


def special(row, figures, checks, not_measured=None):
    result = {"name": row.name, "title": row.title, "figures": figures}
    result["checks"] = [c for c in checks if c]
    if not_measured:
        result["not_measured"] = not_measured
    return result


def output_of(words):
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip()


def machine(bench):
    """No name of the machine or of people: this is meant to be shown."""
    cpu = re.search(
        r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M
    )
    nginx = output_of([bench.options.nginx, "-v"])
    haproxy = output_of([bench.options.haproxy, "-v"])
    ours = output_of(
        [
            "git",
            "-C",
            str(rows.__file__).rsplit("/", 1)[0],
            "describe",
            "--always",
            "--dirty",
        ]
    )
    return {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": len(bench.cores.all),
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
        "albatross": ours,
        "nginx": (re.search(r"nginx/(\S+)", nginx) or [0, "?"])[1],
        "haproxy": (re.search(r"version (\S+)", haproxy) or [0, "?"])[1],
    }


def spread(samples):
    """The middle half; of few, all."""
    if len(samples) < 5:
        return min(samples), max(samples)
    quarters = statistics.quantiles(samples, n=4, method="inclusive")
    return quarters[0], quarters[2]


def said(samples, form):
    text = form.format(statistics.median(samples))
    if len(samples) == 1:
        return text
    low, high = (form.format(end) for end in spread(samples))
    return f"{text} ({low}–{high})"


def table(result):
    figures = result.get("figures", {})
    columns = [c for c in COLUMNS if any(c[0] in f for f in figures.values())]
    lines = [["", *(title for _, title, _ in columns)]]
    for name, found in figures.items():
        cells = [
            said(found[key], form) if found.get(key) else "-"
            for key, _, form in columns
        ]
        lines.append([name, *cells])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(line[1:], widths[1:])),
            ]
        )
        for line in lines
    ]


def check_line(check):
    by_round = (
        f" ({check['low']:.2f}–{check['high']:.2f} by round)" if "low" in check else ""
    )
    return f"{'met   ' if check['is_met'] else 'MISSED'}  {check['text']}: {check['said']}{by_round}"


def print_row(result):
    print(f"\n{result['name']}: {result['title']}")
    if "not_measured" in result:
        print(f"  not measured: {result['not_measured']}", flush=True)
        return
    for line in table(result):
        print(f"  {line}".rstrip())
    if "latency_rate" in result:
        print(
            f"  latency at {result['latency_rate']:,.0f} requests/s each, from when a request was due"
        )
    for check in result["checks"]:
        print(f"  {check_line(check)}")
    print(end="", flush=True)


def finish(folder, machine_, options, results):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine_,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "rows": results,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (folder / "bench.json").write_text(text + "\n")
    (folder / "bench.svg").write_text(chart(document))
    checks = [c for r in results for c in r.get("checks", [])]
    missed = [
        f"{r['name']}: {c['text']}: {c['said']}"
        for r in results
        for c in r.get("checks", [])
        if not c["is_met"]
    ]
    about = machine_
    print(
        f"\n{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}; albatross {about['albatross']}, "
        f"nginx {about['nginx']}, HAProxy {about['haproxy']}; {options.rounds} rounds of {options.seconds} s"
    )
    print(
        f"{len(checks) - len(missed)} of {len(checks)} targets met"
        + ("; missed:" if missed else "")
    )
    for line in missed:
        print(f"  {line}")
    print(f"{folder}/bench.json, {folder}/bench.svg")


def bar(y, name, samples, most, width):
    """One contestant: its name, a bar to the median, a line over the middle half of its samples, the figure."""
    middle, (low, high) = statistics.median(samples), spread(samples)
    colour = next(
        (c for k, c in COLOURS.items() if name.split(" ")[0].startswith(k)),
        OTHER_COLOUR,
    )
    x = lambda value: 230 + value / most * width
    return (
        f'<text x="222" y="{y + 13}" text-anchor="end">{html.escape(name)}</text>'
        f'<rect x="230" y="{y + 2}" width="{x(middle) - 230:.1f}" height="14" fill="{colour}"/>'
        f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y + 9}" y2="{y + 9}" stroke="#212529"/>'
        f'<text x="{x(high) + 6:.1f}" y="{y + 13}">{middle:,.1f}</text>'
    )


def chart(document):
    """Bars of the proxy's CPU time by request (of bytes, where memory is measured), a panel a row."""
    parts, y = [], 56
    for row in document["rows"]:
        figure = next(
            (
                f
                for f in ("cpu_us", "bytes", "p99")
                if any(v.get(f) for v in row.get("figures", {}).values())
            ),
            None,
        )
        if figure is None:
            continue
        unit = {"cpu_us": "CPU µs a request", "bytes": "bytes", "p99": "p99, µs"}[
            figure
        ]
        bars = {n: f[figure] for n, f in row["figures"].items() if f.get(figure)}
        most = max(max(s) for s in bars.values()) or 1
        parts.append(
            f'<text x="16" y="{y}" font-weight="bold">{html.escape(row["title"])} ({unit})</text>'
        )
        y += 8
        for name, samples in bars.items():
            parts.append(bar(y, name, samples, most, 420))
            y += 20
        y += 26
    about = document["machine"]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{y}" viewBox="0 0 760 {y}" '
        'font-family="sans-serif" font-size="12" fill="#212529"><rect width="100%" height="100%" fill="#fff"/>'
        '<text x="16" y="24" font-size="15" font-weight="bold">Less is better: bars are medians, lines the middle half of the rounds</text>'
        f'<text x="16" y="{y - 10}" fill="#495057">{html.escape(about["cpu"])}, {about["cores"]} cores; nginx '
        f'{html.escape(about["nginx"])}, HAProxy {html.escape(about["haproxy"])}</text>'
        + "\n".join(parts)
        + "</svg>\n"
    )
