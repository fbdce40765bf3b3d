"""Servers outlive what befalls their connections: resets, and a lack of descriptors."""

import json

import pytest
from greenprograms import both

#: How much memory may come and go for other reasons.
SLACK = 6 << 20

CONNECTIONS = 10_000

RESETS = """
import resource, signal, socket as plain, struct
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
count = int(sys.argv[1])
if most != resource.RLIM_INFINITY:
    count = min(count, most - 200)
RESET = struct.pack("ii", 1, 0)
accepted = ended = 0

def serve(connection, _):
    global accepted, ended
    accepted += 1
    try:
        if gone is not None and accepted % 2:
            gone.wait()
            connection.sendall(b"too late")
        else:
            while data := connection.recv(10):
                connection.sendall(data)
    except OSError:
        pass
    ended += 1

def clients():   # a process of them: its end resets all
    here, there = os.pipe()
    pid = os.fork()
    if pid:
        os.close(here)
        return pid, there
    try:
        os.close(there)
        connected = []
        for _ in range(count):
            connected.append(plain.create_connection(("127.0.0.1", server.server_port)))
            connected[-1].setsockopt(plain.SOL_SOCKET, plain.SO_LINGER, RESET)
        os.read(here, 1)   # nothing ever comes but the end of who started this
    finally:
        os._exit(3)

def living():
    return sum(isinstance(one, gevent.Greenlet) and not one.dead for one in gc.get_objects())

def resets():
    global gone, accepted, ended
    gone, accepted, ended = module("event").Event(), 0, 0
    pid, pipe = clients()
    with gevent.Timeout(40):
        while accepted < count:
            gevent.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(pipe)
    gone.set()
    with gevent.Timeout(40):
        while ended < count:
            gevent.sleep(0.01)
    gevent.sleep(0.01)
    gc.collect()

def answers():
    global gone
    gone = None
    with module("socket").create_connection(("127.0.0.1", server.server_port)) as client:
        client.sendall(b"buns")
        answer = client.recv(10)
    gevent.sleep(0.01)
    return answer == b"buns"

server = module("server").StreamServer(("127.0.0.1", 0), serve, backlog=4096)
server.start()
gone = None
answered = [answers()]
ends, greenlets = descriptors(), living()
resets()
answered.append(answers())
before = resident()
resets()
answered.append(answers())
tell(
    count=count,
    answered=answered,
    descriptors=descriptors() - ends,
    greenlets=living() - greenlets,
    grown=resident() - before,
)
"""


@both
def test_ten_thousand_connections_may_be_reset_at_once(implementation):
    # From 3.12 on, a fork beside any thread is warned of, and the watchdog is one.
    quiet = "ignore:This process:DeprecationWarning"
    told = implementation.told(RESETS, str(CONNECTIONS), PYTHONWARNINGS=quiet)
    count, grown = told.pop("count"), told.pop("grown")
    assert told == {"answered": [True] * 3, "descriptors": 0, "greenlets": 0}
    assert grown < SLACK
    if count < CONNECTIONS:
        pytest.skip(f"shown with {count}: the limit of descriptors allows no more")


LIMITS = """
import resource, signal, socket as plain
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))
CLIENTS = 120
attempts = served = 0

class Server(module("server").StreamServer):
    max_delay = 0.2

    def do_read(self):
        global attempts
        attempts += 1
        return super().do_read()

def serve(connection, _):
    global served
    connection.sendall(connection.recv(10))
    served += 1

def full():
    try:
        os.close(os.dup(0))
    except OSError:
        return True
    return False

server = Server(("127.0.0.1", 0), serve, backlog=256)
server.start()
status = None
ours, theirs = plain.socketpair()
pid = os.fork()
if pid == 0:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
        address = ("127.0.0.1", server.server_port)
        clients = [plain.create_connection(address) for _ in range(CLIENTS)]
        theirs.sendall(b"x")
        theirs.recv(1)   # they say nothing, so that they stay, until then
        for client in clients:
            client.sendall(b"x")
        answers = [client.recv(1) for client in clients]
        os._exit(0 if answers == [b"x"] * CLIENTS else 3)
    finally:
        os._exit(4)

ours.setblocking(False)
try:
    with gevent.Timeout(40):
        module("socket").wait_read(ours.fileno())
        while not full():
            gevent.sleep(0.01)
        gevent.sleep(0.05)
        tried, used = attempts, time.process_time()
        gevent.sleep(0.6)
        tried, used = attempts - tried, time.process_time() - used
        ours.send(b"x")
        while status is None:
            gevent.sleep(0.01)
            found, number = os.waitpid(pid, os.WNOHANG)
            status = number if found else None
finally:
    if status is None:
        os.kill(pid, signal.SIGKILL)
tell(tried=tried, used=used, status=status, served=served)
"""


@both
def test_a_server_that_has_no_descriptors_left_goes_on_when_it_has(implementation):
    out, err = implementation.finished(LIMITS)
    told = json.loads(out)
    assert told["status"] == 0
    assert told["served"] == 120
    # It pauses for longer and longer. One that spins tries thousands of times.
    assert 1 <= told["tried"] <= 12
    assert told["used"] < 0.3
    reports = err.count("Too many open files")
    if implementation.is_ours:
        assert reports == 1, err
    else:
        assert reports > 0
