"""manyhands run --dashboard: a program on a web page."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support import PATIENCE, until

#: It goes on as far as it is told, a line at a time.
PROGRAM = """
import os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
import multiprocessing, queue

def slow(number):
    time.sleep(0.01)
    if number == 5:
        raise ValueError(number)

def lock_both(first, second, both):
    with first:
        both.wait()
        second.acquire()

def fill(jobs):
    while True:
        jobs.put(1)
        time.sleep(0.002)

def drain(jobs):
    while True:
        jobs.get()

def start(function, *args, name=None):
    threading.Thread(target=function, args=args, name=name, daemon=True).start()

if __name__ == "__main__":
    jobs = queue.Queue()
    start(fill, jobs)
    start(drain, jobs)
    with ThreadPoolExecutor(1) as pool:
        calls = [pool.submit(slow, number) for number in range(100_000)]
        sys.stdin.readline()
        pool.shutdown(cancel_futures=True)
    del pool
    sys.stdin.readline()
    mutex_a, mutex_b, both = threading.Lock(), threading.Lock(), threading.Barrier(2)
    start(lock_both, mutex_a, mutex_b, both, name="one")
    start(lock_both, mutex_b, mutex_a, both, name="two")
    sys.stdin.readline()
    os._exit(3)
"""


class Shown:
    """A program with a page."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.address = urlsplit(url)

    def get(self, path: str, host: str | None = None) -> tuple[http.client.HTTPResponse, str]:
        assert self.address.hostname
        connection = http.client.HTTPConnection(
            self.address.hostname, self.address.port, timeout=PATIENCE
        )
        connection.request("GET", path, headers={"Host": host} if host else {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text

    def now(self) -> dict[str, Any]:
        return json.loads(self.get(f"/now.json?{self.address.query}")[1]) or {}

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def shown(path: Path, address: str = "127.0.0.1:0", *options: str) -> Iterator[Shown]:
    (path / "tea.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "manyhands", "run", "--dashboard", address, *options, "tea.py"]
    process = subprocess.Popen(
        command,
        cwd=path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.fullmatch(r"manyhands: the dashboard is at (http://\S+)\n", line)
        assert found, line
        yield Shown(process, found[1])
    finally:
        process.kill()
        process.communicate()


def test_what_it_tells(tmp_path: Path) -> None:
    with shown(tmp_path) as program:
        until(lambda: program.now().get("queues"))
        now = program.now()
        assert now["processes"][0]["command"].endswith("tea.py")
        assert [pool["kind"] for pool in now["pools"]] == ["ThreadPoolExecutor"]
        assert now["deadlocks"] == []
        done = now["pools"][0]["done"]
        until(lambda: program.now()["pools"][0]["done"] > done + 10)
        program.go_on()
        until(lambda: program.now()["pools"][0]["ended"])
        (pool,) = program.now()["pools"]
        assert pool["failed"] == 1
        assert (pool["running"], pool["waiting"], pool["left"]) == (0, 0, None)
        program.go_on()
        until(lambda: program.now()["deadlocks"])
        (report,) = program.now()["deadlocks"]
        assert "2 threads wait for each other" in report
        program.go_on()
        assert program.process.wait(PATIENCE) == 3
        with pytest.raises(ConnectionError):
            program.now()


def test_who_is_let_in(tmp_path: Path) -> None:
    with shown(tmp_path) as program:
        port = program.address.port
        for host in ("localhost", f"127.0.0.1:{port}", f"[::1]:{port}"):
            response, page = program.get("/", host)
            assert (response.status, page[:15]) == (200, "<!doctype html>")
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        for path in ("/", "/now.json", "/news"):
            response, page = program.get(path, "tea.example")
            assert (response.status, page) == (403, "This page answers only to localhost.\n")
        assert program.get("/nothing")[0].status == 404


def test_from_elsewhere_a_token_is_needed(tmp_path: Path) -> None:
    with shown(tmp_path, "0.0.0.0:0") as program:
        assert re.fullmatch(r"token=[0-9a-f]{32}", program.address.query)
        assert program.get(f"/?{program.address.query}", "tea.example")[0].status == 200
        assert program.get(f"/now.json?{program.address.query}")[0].status == 200
        for wrong in ("", "?token=", "?token=" + 32 * "0", f"?{program.address.query}0"):
            response, page = program.get(f"/{wrong}")
            assert response.status == 403
            assert "has a token" in page
            assert program.get(f"/news{wrong}")[0].status == 403


def test_an_address_that_cannot_be_had(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "manyhands", "run", "--dashboard"]
    for address in ("nowhere", "192.0.2.1:80", ""):
        done = subprocess.run(
            [*command, address, "-c", "print(1)"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert (done.returncode, done.stdout) == (2, "")
        told = f"no dashboard at {address}: " if address else "--dashboard takes an address"
        assert told in done.stderr


def test_signals_and_a_trace_beside(tmp_path: Path) -> None:
    with shown(tmp_path, "0", "--trace=out.json") as program:
        assert program.address.hostname == "127.0.0.1"
        until(lambda: program.now().get("pools"))
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(PATIENCE) == -signal.SIGTERM
    events = json.loads((tmp_path / "out.json").read_text())["traceEvents"]
    assert any(event["name"] == "slow" for event in events)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=chromium,
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                "--disable-background-networking",
            ],
        )
        yield browser
        browser.close()


@pytest.mark.patience(180)
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_in_a_browser(tmp_path: Path, browser: Any, size: tuple[int, int]) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.set_default_timeout(PATIENCE * 1000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    with shown(tmp_path) as program:
        page.goto(program.url)
        page.get_by_role("heading", name=re.compile("tea.py")).wait_for()
        # What is said to who does not see it: tables have rows with heads, progress has a name.
        row = page.get_by_role("row", name=re.compile("ThreadPoolExecutor"))
        row.get_by_role("progressbar", name="calls done").wait_for()
        done = row.get_by_role("cell").nth(1)
        before = done.inner_text()
        page.wait_for_function(
            "([cell, before]) => cell.textContent !== before", arg=[done.element_handle(), before]
        )
        # The page itself is not wider than its window: what is wide is scrolled.
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size[0]
        # By keyboard: a stack is opened, and stays so.
        page.locator("summary", has_text="MainThread").focus()
        page.keyboard.press("Enter")
        page.get_by_text("sys.stdin.readline()").wait_for()
        assert page.get_by_role("alert").count() == 0
        program.go_on()
        row.get_by_text("ended", exact=True).wait_for()
        program.go_on()
        alert = page.get_by_role("alert")
        alert.get_by_text("2 threads wait for each other").wait_for()
        program.go_on()
        page.get_by_text("The program has ended with the status 3.").wait_for()
        assert row.count() == 1
        assert page.get_by_text("sys.stdin.readline()").is_visible()
    page.close()
    assert wrong == []
