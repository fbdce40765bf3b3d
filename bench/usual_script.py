"""A script as they are: with some modules of the standard library, processes, and a result.

`bench.workloads.processes` runs it. A spawned child runs it anew and imports what it imports.
"""

from __future__ import annotations

import argparse
import collections
import csv
import datetime
import json
import logging
import os
import pathlib
import random
import re
import statistics
import subprocess
import tempfile
from importlib import import_module
from time import perf_counter

logger = logging.getLogger(__name__)

#: So that nobody takes the imports for unused.
USED = (collections, csv, datetime, os, pathlib, random, re, subprocess, tempfile)


def work() -> None:
    logger.debug("at work")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("method")
    parser.add_argument("count", type=int)
    args = parser.parse_args()
    context = import_module(args.module).get_context(args.method)
    seconds = []
    # One more: a fork server, or the like, begins with the first.
    for _ in range(1 + args.count):
        begin = perf_counter()
        process = context.Process(target=work)
        process.start()
        process.join()
        seconds.append(perf_counter() - begin)
        if process.exitcode:
            raise SystemExit(f"a started process failed: {process.exitcode}")
    mean = statistics.fmean(seconds[1:])
    print(json.dumps({"count": args.count, "seconds": mean * args.count}))


if __name__ == "__main__":
    main()
