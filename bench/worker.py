"""A process that measures one contender: reads workloads' names, writes figures per unit."""

from __future__ import annotations

import gc
import json
import sys


def main() -> None:
    # Not above: spawned children import this module, and are to be as those of a small program.
    from bench.contenders import CONTENDERS
    from bench.workloads import WORKLOADS, has

    try:
        contender = CONTENDERS[sys.argv[1]]()
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    able = [w.name for w in WORKLOADS.values() if all(has(contender, n) for n in w.needs)]
    print(json.dumps({"able": able}), flush=True)
    for line in sys.stdin:
        gc.collect()
        measured = WORKLOADS[json.loads(line)].measure(contender)
        figures = measured if isinstance(measured, dict) else {"": measured}
        print(json.dumps({name: sum_ / n for name, (n, sum_) in figures.items()}), flush=True)


if __name__ == "__main__":
    main()
