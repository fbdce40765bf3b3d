"""A plugin of pytest that says what came of each test, for the runner to read."""

import sys

import paramiko
import pytest

print(f"\n@@ paramiko {paramiko.__name__}", file=sys.__stderr__, flush=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed or report.when == "call" or report.skipped:
        print(f"\n@@ {report.outcome} {report.when} {item.nodeid}", file=sys.__stderr__, flush=True)
