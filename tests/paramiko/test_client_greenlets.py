"""SSH in greenlets, of which the others run while one waits; and signals and ends of programs."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest


def python(program, *arguments, **options):
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


CLIENT = """
    import sys
    from manyhands import paramiko

    port, user, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]

    def connect():
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        client.connect("127.0.0.1", port, user, key_filename=key, allow_agent=False, timeout=30)
        return client
"""


def finish(process):
    try:
        output, _ = process.communicate(timeout=50)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return output


@pytest.fixture
def where(server):
    return server.port, server.user, server.path("user")


def test_greenlets(where):
    program = """
    import gevent

    def work(number):
        with connect() as client:
            # Each waits for one that comes after it.
            command = f"echo {number}; read line; echo $line"
            stdin, stdout, _ = client.exec_command(command, timeout=30)
            assert stdout.readline() == f"{number}\\\\n"
            arrived.append(number)
            while len(arrived) < 5:
                gevent.sleep(0.001)
            stdin.write("done\\\\n")
            return stdout.read().decode()

    arrived = []
    workers = [gevent.spawn(work, number) for number in range(5)]
    gevent.joinall(workers, timeout=40)
    print([worker.value for worker in workers])
    """
    for patched in ("", "from manyhands.gevent import monkey; monkey.patch_all()"):
        text = textwrap.dedent(CLIENT) + textwrap.dedent(program.replace("\\\\", "\\"))
        text = text.replace("import gevent", "from manyhands import gevent")
        process = python(f"{patched}\n{text}", *where)
        assert finish(process).strip() == str(["done\n"] * 5)
        assert process.returncode == 0


@pytest.mark.parametrize("wait", ["stdout.read()", "stdout.channel.recv_exit_status()"])
def test_interrupts_from_the_terminal(where, wait):
    program = f"""
    client = connect()
    _, stdout, _ = client.exec_command("sleep 60")
    try:
        print("waiting", flush=True)
        {wait}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    """
    process = python(textwrap.dedent(CLIENT) + textwrap.dedent(program), *where)
    assert process.stdout.readline() == "waiting\n"
    os.kill(process.pid, signal.SIGINT)
    assert finish(process) == "interrupted\n"
    assert process.returncode == 0


def test_a_program_ends_with_connections_left_open(where):
    program = """
    client = connect()
    transport = client.get_transport()
    transport.request_port_forward("127.0.0.1", 0)
    _, stdout, _ = client.exec_command("sleep 60")
    import threading
    threading.Thread(target=stdout.read, daemon=True).start()
    print("end")
    """
    process = python(textwrap.dedent(CLIENT) + textwrap.dedent(program), *where)
    assert finish(process) == "end\n"
    assert process.returncode == 0
