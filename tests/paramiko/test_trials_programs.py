"""Programs and libraries that nobody here wrote do on the engine what they do with paramiko.

Each is run as it is, with paramiko and by `manyhands run`, against the same OpenSSH server.
"""

import json
import re
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from programs import COMMAND, Place

REQUIREMENTS = Path(__file__).parents[2] / "ci" / "requirements-trials-paramiko.txt"

#: Every program says by this which paramiko it had.
BEGIN = """
import json, os, sys
import paramiko
port, user, key, folder = int(sys.argv[1]), *sys.argv[2:5]
found = {"whose": paramiko.SSHClient.__module__}
"""

END = "\nprint(json.dumps(found))\n"


@pytest.fixture(params=["plain", "run"], ids=["stock", "manyhands"])
def place(tmp_path, request):
    """Where a program is run, with paramiko or on the engine."""
    if find_spec("paramiko") is None:
        pytest.skip("paramiko is not installed: ci/requirements-trials-paramiko.txt")
    made = Place(tmp_path)
    made.ours = request.param == "run"
    made.command = COMMAND if made.ours else COMMAND[:1]
    return made


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def told(place, server, program):
    """What a program has found."""
    place.write("program.py", BEGIN + program + END)
    files = place.folder / "files"
    files.mkdir()
    arguments = (str(server.port), server.user, server.path("user"), files)
    process = place.call([*place.command, "program.py", *arguments])
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr, process.stderr
    found = json.loads(process.stdout.splitlines()[-1])
    assert found.pop("whose").startswith("manyhands.paramiko") == place.ours
    return found


#: A server of the program's own, which sends back what it is sent.
ECHO = """
import socket, threading, time
listener = socket.create_server(("127.0.0.1", 0))

def serve():
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(connection.recv(100)[::-1])

threading.Thread(target=serve, daemon=True).start()
"""

CONNECTION = """
import fabric
config = fabric.Config(overrides={"load_ssh_configs": False})
login = {"key_filename": key, "allow_agent": False, "look_for_keys": False}

def connection(**options):
    return fabric.Connection(
        "127.0.0.1", user=user, config=config, connect_kwargs=login, **{"port": port, **options}
    )
"""


@needs("fabric")
def test_fabric_runs_commands(place, server):
    program = """
def ran(result):
    return [result.stdout, result.stderr, result.exited]

with connection() as c:
    found["both"] = ran(c.run("echo out; echo bad >&2; exit 3", hide=True, warn=True))
    try:
        c.run("false", hide=True)
    except Exception as error:
        found["failed"] = type(error).__name__
    found["terminal"] = ran(c.run("test -t 1 && echo yes", pty=True, hide=True))
    with c.cd("/"):
        found["folder"] = c.run("pwd", hide=True).stdout
    with c.prefix("true"):
        found["long"] = len(c.run("seq 1 100000", hide=True).stdout)
    found["environment"] = c.run("echo $FRUIT", env={"FRUIT": "fig"}, hide=True).stdout
    import io
    found["input"] = c.run("head -n 1", in_stream=io.StringIO("typed\\n"), hide=True).stdout
    found["open"] = c.is_connected
found["closed"] = c.is_connected
"""
    assert told(place, server, CONNECTION + program) == {
        "both": ["out\n", "bad\n", 3],
        "failed": "UnexpectedExit",
        "terminal": ["yes\r\n", "", 0],
        "folder": "/\n",
        "long": 588895,
        "environment": "fig\n",
        "input": "typed\n",
        "open": True,
        "closed": False,
    }


@needs("fabric")
def test_fabric_copies_files(place, server):
    program = """
import io
content = os.urandom(1 << 20)
with open("local", "wb") as file:
    file.write(content)
os.mkdir(f"{folder}/there")
with connection() as c:
    done = c.put("local", f"{folder}/there")
    found["name"] = os.path.basename(done.remote)
    os.chmod(f"{folder}/there/local", 0o640)
    done = c.get(f"{folder}/there/local", local="back")
    found["same"] = open("back", "rb").read() == content
    found["mode"] = oct(os.stat("back").st_mode & 0o777)
    c.put(io.BytesIO(b"from memory"), f"{folder}/memory")
    into = io.BytesIO()
    c.get(f"{folder}/memory", local=into)
    found["memory"] = into.getvalue().decode()
"""
    assert told(place, server, CONNECTION + program) == {
        "name": "local",
        "same": True,
        "mode": "0o640",
        "memory": "from memory",
    }


@needs("fabric")
@pytest.mark.parametrize("kind", ["SerialGroup", "ThreadingGroup"])
def test_fabric_has_groups(place, server, start, kind):
    other = start()
    with open(other.folder / "authorized", "a") as file:
        file.write((server.folder / "user.pub").read_text())
    program = f"""
ports = [port, {other.port}]
hosts = [connection(port=port) for port in ports]
with open(f"{{folder}}/data", "w") as file:
    file.write("data")
with fabric.{kind}.from_connections(hosts) as group:
    results = group.run("echo $SSH_CONNECTION", hide=True)
    found["ports"] = sorted(ports) == sorted(
        int(result.stdout.split()[3]) for result in results.values()
    )
    group.get(f"{{folder}}/data", local="back/{{port}}")
    found["there"] = [open(f"back/{{port}}").read() for port in ports]
group = fabric.{kind}.from_connections([connection(), fabric.Connection("127.0.0.1", port=1)])
try:
    group.run("true", hide=True)
except fabric.exceptions.GroupException as error:
    found["good"], found["bad"] = len(error.result.succeeded), len(error.result.failed)
group.close()
"""
    assert told(place, server, CONNECTION + program) == {
        "ports": True,
        "there": ["data", "data"],
        "good": 1,
        "bad": 1,
    }


@needs("fabric")
def test_fabric_goes_through_gateways_and_forwards_ports(place, server):
    program = """
with connection() as near, connection(gateway=near) as far:
    found["far"] = far.run("echo far", hide=True).stdout
    free = socket.create_server(("127.0.0.1", 0))
    number = free.getsockname()[1]
    free.close()
    there = {"remote_host": "127.0.0.1", "remote_port": listener.getsockname()[1]}
    with far.forward_local(number, **there):
        # A thread of its listens some time later.
        for _ in range(3000):
            try:
                through = socket.create_connection(("127.0.0.1", number), 30)
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        with through:
            through.sendall(b"word")
            found["answer"] = through.recv(100).decode()
"""
    found = told(place, server, ECHO + CONNECTION + program)
    assert found == {"far": "far\n", "answer": "drow"}


@needs("fabric")
def test_the_command_of_fabric(place, server):
    place.write(
        "fabfile.py",
        """
        import paramiko
        from fabric import task

        @task
        def greet(c, name):
            print(paramiko.SSHClient.__module__.split(".")[0])
            c.run(f"echo hello {name}")
        """,
    )
    host = f"{server.user}@127.0.0.1:{server.port}"
    options = ["-H", host, "-i", server.path("user"), "greet", "--name", "ann"]
    process = place.call([*place.command, "-m", "fabric", *options])
    assert process.returncode == 0, process.stderr
    whose = "manyhands" if place.ours else "paramiko"
    assert process.stdout == f"{whose}\nhello ann\n"


CLIENT = """
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
client.connect("127.0.0.1", port, user, key_filename=key, allow_agent=False, look_for_keys=False)
"""


@needs("scp")
def test_scp(place, server):
    program = """
import scp
content = os.urandom(3_000_000)
os.makedirs("tree/sub")
with open("tree/sub/large", "wb") as file:
    file.write(content)
with open("tree/small", "w") as file:
    file.write("small")
seen = []
progress = lambda name, size, sent: seen.append((name.decode(), size, sent))
with client, scp.SCPClient(client.get_transport(), progress=progress) as copying:
    copying.put("tree", recursive=True, remote_path=folder)
    found["put"] = ["tree" in os.listdir(folder), seen[-1][1] == seen[-1][2], len(seen) > 3]
    copying.get(f"{folder}/tree", "back", recursive=True, preserve_times=True)
    try:
        copying.get(f"{folder}/none", "none")
    except scp.SCPException as error:
        found["none"] = "No such file" in str(error)
found["same"] = open("back/sub/large", "rb").read() == content
found["small"] = open("back/small").read()
"""
    assert told(place, server, CLIENT + program) == {
        "put": [True, True, True],
        "none": True,
        "same": True,
        "small": "small",
    }


@needs("sshtunnel")
def test_sshtunnel(place, server):
    program = """
import sshtunnel
tunnel = sshtunnel.open_tunnel(
    ("127.0.0.1", port), ssh_username=user, ssh_pkey=key, allow_agent=False,
    host_pkey_directories=[], remote_bind_address=listener.getsockname(),
)
with tunnel:
    found["answers"] = []
    for word in (b"first", b"second"):
        with socket.create_connection(("127.0.0.1", tunnel.local_bind_port), 30) as through:
            through.sendall(word)
            found["answers"].append(through.recv(100).decode())
"""
    assert told(place, server, ECHO + program) == {"answers": ["tsrif", "dnoces"]}


def test_the_programs_are_those_that_are_pinned():
    pinned = dict(re.findall(r"^([\w-]+)==([^;\s]+)", REQUIREMENTS.read_text(), re.MULTILINE))
    assert pinned.keys() == {"fabric", "paramiko", "scp", "sshtunnel"}
    # ci/lib.sh leaves this where it has installed them; nobody else needs them.
    if Path(sys.prefix, f".tools-{REQUIREMENTS.name}").exists():
        assert {name: version(name) for name in pinned} == pinned
