"""Programs and libraries that nobody here wrote do on the engine what they do with gevent.

Each is run as it is, with gevent and by `manyhands run`; servers of databases are real ones, if
this machine has them.
"""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
from programs import COMMAND, Place, environment, finish, start

FETCHES = 200

#: Every program says by this which gevent it had.
WHOSE = "import gevent.hub; WHOSE = gevent.hub.Hub.__module__\n"


@pytest.fixture(params=["plain", "run"], ids=["stock", "manyhands"])
def place(tmp_path, request):
    """Where a program is run, with gevent or on the engine."""
    if find_spec("gevent.hub") is None:
        pytest.skip("gevent is not installed: ci/requirements-trials-gevent.txt")
    made = Place(tmp_path)
    made.ours = request.param == "run"
    made.command = COMMAND if made.ours else COMMAND[:1]
    return made


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def told(place, program, *arguments):
    """What a program has printed at last, which says whose gevent it had, too."""
    place.write("program.py", "from gevent import monkey; monkey.patch_all()\n" + WHOSE + program)
    process = place.call([*place.command, "program.py", *arguments])
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr, process.stderr
    found = json.loads(process.stdout.splitlines()[-1])
    assert found.pop("whose").startswith("manyhands.gevent") == place.ours
    return found


@contextmanager
def answers_when_all_have_asked(count):
    """The port of a server that answers nobody before so many have asked at once."""
    heard = socket.create_server(("127.0.0.1", 0), backlog=count)
    heard.settimeout(60)

    def serve():
        asking = []
        while len(asking) < count:
            connection, _ = heard.accept()
            connection.recv(4096)
            asking.append(connection)
        for connection in asking:
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbuns"
            )
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with heard:
        yield heard.getsockname()[1]
        thread.join()


REQUESTS = """
import gevent.pool, json, requests, sys
url = f"http://127.0.0.1:{sys.argv[1]}/"
def fetch(number):
    return requests.get(url, timeout=60).text
pages = gevent.pool.Pool(int(sys.argv[2])).map(fetch, range(int(sys.argv[2])))
print(json.dumps({"whose": WHOSE, "pages": sorted(set(pages)), "count": len(pages)}))
"""


@needs("requests")
def test_fetches_by_requests_overlap_on_one_thread(place):
    with answers_when_all_have_asked(FETCHES) as port:
        found = told(place, REQUESTS, str(port), str(FETCHES))
    assert found == {"pages": ["buns"], "count": FETCHES}


APPLICATION = """
import gevent.hub, threading, time

WANTED, asking, all_ask = 50, [], threading.Event()

def application(environ, start_response):
    if environ["PATH_INFO"] == "/whose":
        body = gevent.hub.Hub.__module__.encode()
    else:
        asking.append(environ["PATH_INFO"])
        if len(asking) == WANTED:
            all_ask.set()
        all_ask.wait(60)
        time.sleep(0.001)
        body = environ["PATH_INFO"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def get(port, path):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while data := connection.recv(4096):
            answer += data
    return answer.rpartition(b"\r\n\r\n")[2].decode()


@needs("gunicorn")
def test_the_worker_of_gunicorn_serves_many_at_once(place):
    place.write("application.py", APPLICATION)
    options = ["-k", "gevent", "-w", "1", "-b", "127.0.0.1:0", "--graceful-timeout", "5"]
    command = [*place.command, "-m", "gunicorn", *options, "application:application"]
    process = start(command, cwd=place.folder)
    try:
        log = ""
        while not (found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log)):
            line = process.stderr.readline()
            assert line, log
            log += line
        port = int(found[1])
        assert get(port, "/whose").startswith("manyhands.gevent") == place.ours
        pages = []
        asking = [
            threading.Thread(target=lambda path=f"/{number}": pages.append(get(port, path)))
            for number in range(50)
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert sorted(pages) == sorted(f"/{number}" for number in range(50))
    finally:
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as heard:
        return heard.getsockname()[1]


@contextmanager
def served(command, port, **options):
    """A server of somebody else's, until it is left."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **quiet, **options) as process:
        try:
            for _ in range(600):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    assert process.poll() is None, f"{command} has ended"
                    time.sleep(0.05)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


REDIS = """
import json, redis, sys
server = redis.Redis(port=int(sys.argv[1]), decode_responses=True)

def wait(number):
    return server.blpop(f"list {number}", timeout=60)[1]

def hear():
    channel = server.pubsub()
    channel.subscribe("news")
    for message in channel.listen():
        if message["type"] == "subscribe":
            heard.set()
        else:
            return message["data"]

from gevent.event import Event
heard = Event()
waiting = [gevent.spawn(wait, number) for number in range(50)]
listener = gevent.spawn(hear)
heard.wait(60)
for number in reversed(range(50)):
    with server.pipeline() as pipeline:
        pipeline.incr("count").rpush(f"list {number}", number).execute()
server.publish("news", "buns")
gevent.joinall([*waiting, listener], timeout=60, raise_error=True)
print(json.dumps({"whose": WHOSE, "values": [int(one.value) for one in waiting],
                  "news": listener.value, "count": int(server.get("count"))}))
"""


@needs("redis")
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server")
def test_many_wait_for_redis(place, tmp_path):
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with served([*command, "--dir", tmp_path], port):
        found = told(place, REDIS, str(port))
    assert found == {"values": list(range(50)), "news": "buns", "count": 50}


PSYCOPG = """
import json, psycopg, sys
from gevent.pool import Pool
where = f"host=127.0.0.1 port={sys.argv[1]} user=cook dbname=postgres"
with psycopg.connect(where, autocommit=True) as one:
    one.execute("create table buns (number int)")

def insert(number):
    with psycopg.connect(where) as connection:
        # All are here at once: the last to come lets the others go.
        connection.execute("select pg_advisory_xact_lock_shared(1)")
        connection.execute("insert into buns values (%s)", (number,))
    return number

with psycopg.connect(where) as gate:
    gate.execute("select pg_advisory_xact_lock(1)")
    pool = Pool(10)
    inserted = [pool.spawn(insert, number) for number in range(10)]
    waiting = 0
    with gevent.Timeout(60):
        while waiting < 10:
            gevent.sleep(0.01)
            with psycopg.connect(where) as look:
                waiting = look.execute(
                    "select count(*) from pg_locks where locktype = 'advisory' and not granted"
                ).fetchone()[0]
gevent.joinall(inserted, timeout=60, raise_error=True)
with psycopg.connect(where) as one:
    total = one.execute("select sum(number) from buns").fetchone()[0]
print(json.dumps({"whose": WHOSE, "waiting": waiting, "total": int(total)}))
"""


def postgres():
    """The folder of PostgreSQL's programs, some of which are seldom on the path."""
    server = shutil.which("postgres")
    folders = [Path(server).resolve().parent] if server else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@needs("psycopg")
@pytest.mark.skipif(postgres() is None, reason="there is no PostgreSQL")
def test_many_wait_for_postgresql(place, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("data"), free_port()
    other = {}
    if os.getuid() == 0:  # it refuses that
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        for parent in list(folder.parents)[:2]:
            parent.chmod(0o711)
        other = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data = folder / "made"
    init = [postgres() / "initdb", "-D", data, "-U", "cook", "-A", "trust", "--no-sync"]
    subprocess.run(init, check=True, stdout=subprocess.DEVNULL, cwd=folder, **other)
    command = [
        postgres() / "postgres",
        "-D",
        data,
        "-p",
        str(port),
        "-k",
        folder,
        "-h",
        "127.0.0.1",
    ]
    with served(command, port, cwd=folder, **other):
        found = told(place, PSYCOPG, str(port))
    assert found == {"waiting": 10, "total": 45}


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"buns")

    def log_message(self, *_):
        pass


LOCUST = """
import gevent.hub
from locust import HttpUser, constant, events, task

class Eater(HttpUser):
    wait_time = constant(0.01)

    @task
    def eat(self):
        assert self.client.get("/").text == "buns"

@events.test_start.add_listener
def tell(environment, **_):
    print("whose:", gevent.hub.Hub.__module__, flush=True)
"""


@needs("locust")
def test_locust_loads_a_server(place):
    place.write("locustfile.py", LOCUST)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        options = ["--headless", "-u", "10", "-r", "10", "-t", "3s", "--json", "--only-summary"]
        host = f"http://127.0.0.1:{server.server_port}"
        command = [*place.command, "-m", "locust", *options, "-H", host]
        process = place.call(command, env=environment(LOCUST_SKIP_MONKEY_PATCH=None))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert process.returncode == 0, process.stderr
    whose, _, report = process.stdout.partition("\n")
    assert whose.startswith("whose: manyhands.gevent") == place.ours
    (figures,) = json.loads(report)
    assert figures["num_requests"] > 10
    assert figures["num_failures"] == 0
