"""Measures all contenders in interleaved rounds; prints a table in markdown.

In each round every contender does each workload once, so that whatever else the machine does meets
all of them. The figures are medians over the rounds; a ratio is the median of the rounds' ratios,
with the middle half of them beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from bench.contenders import CONTENDERS
from bench.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent


class Worker:
    def __init__(self, contender: str) -> None:
        command = [sys.executable, "-m", "bench.worker", contender]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        hello = self.read()
        self.missing: str | None = hello.get("missing")
        self.able: set[str] = set(hello.get("able", ()))

    def read(self):
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with status {self.process.wait()}")
        return json.loads(line)

    def measure(self, workload: str) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(workload) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def seconds(value: float) -> str:
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1, 1e3, "ms")):
        if value < limit:
            return f"{value * factor:.3g} {unit}" if value * factor < 1000 else f"1 {unit}"
    return f"{value:.3g} s"


def size(value: float) -> str:
    return f"{value / 1024:.3g} KiB"


def table(results: dict[tuple[str, str], dict[str, list[float]]], contenders: list[str]) -> str:
    """Of workloads with one base, which is first among the contenders."""
    base, others = contenders[0], contenders[1:]
    head = ["workload", base]
    for other in others:
        head += [other, f"{base} / {other}"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (name, figure), measured in results.items():
        unit = WORKLOADS[name].unit
        shown = size if unit == "bytes" else seconds
        what = f"{name}, {figure}" if figure else name
        row = [what if unit == "bytes" else f"{what} (per {unit})"]
        row.append(shown(statistics.median(measured[base])) if base in measured else "-")
        for other in others:
            if other not in measured:
                row += ["-", "-"]
                continue
            if base not in measured:
                row += [shown(statistics.median(measured[other])), "-"]
                continue
            ratios = [a / b for a, b in zip(measured[base], measured[other], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            row.append(shown(statistics.median(measured[other])))
            row.append(f"**{middle:.3g}** ({low:.3g}-{high:.3g})")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def tables(results: dict[tuple[str, str], dict[str, list[float]]], contenders: list[str]) -> str:
    """One for each base that workloads have."""
    made = []
    for base in dict.fromkeys(WORKLOADS[name].base for name, _ in results):
        of_base = {key: row for key, row in results.items() if WORKLOADS[key[0]].base == base}
        there = [name for name in contenders if any(name in row for row in of_base.values())]
        # Whoever is measured comes first where the base is not installed.
        there.sort(key=lambda name: name != base)
        if there:
            made.append(table(of_base, there))
    return "\n\n".join(made)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="only workloads whose name contains this")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results", metavar="FOLDER")
    args = parser.parse_args()
    if args.rounds < 2:
        parser.error("--rounds must be 2 or more")
    names = [name for name in WORKLOADS if args.only in name]
    if not names:
        parser.error(
            f"no workload has {args.only!r} in its name; there are:\n" + "\n".join(WORKLOADS)
        )

    workers = {name: Worker(name) for name in CONTENDERS}
    for name, worker in list(workers.items()):
        if worker.missing:
            print(f"{name} is left out: {worker.missing}", file=sys.stderr)
            worker.close()
            del workers[name]
    results: dict[tuple[str, str], dict[str, list[float]]] = {}
    for round_number in range(args.rounds):
        print(f"round {round_number + 1} of {args.rounds}", file=sys.stderr)
        for name in names:
            # Who goes first changes from round to round.
            order = list(workers)[:: 1 if round_number % 2 else -1]
            for contender in order:
                if name in workers[contender].able:
                    for figure, value in workers[contender].measure(name).items():
                        row = results.setdefault((name, figure), {})
                        row.setdefault(contender, []).append(value)
    for worker in workers.values():
        worker.close()

    version = platform.python_version()
    title = f"CPython {version}, {args.rounds} rounds, medians (ratio: median and middle half)"
    text = f"{title}\n\n{tables(results, list(workers))}\n"
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    stem = args.out / f"bench-{version}{'-' + args.only if args.only else ''}"
    stem.with_name(stem.name + ".md").write_text(text)
    figures = {", ".join(filter(None, key)): row for key, row in results.items()}
    record = {"python": version, "rounds": args.rounds, "seconds_per_unit": figures}
    stem.with_name(stem.name + ".json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
