"""`manyhands.paramiko.aio`: the same for coroutines."""

import asyncio
import contextlib
import contextvars
import os
import socket
import threading

import pytest
from manyhands import paramiko
from manyhands.paramiko import aio

LIMIT = 50


def run(main, *args):
    async def limited():
        return await asyncio.wait_for(main(*args), LIMIT)

    return asyncio.run(limited())


async def connected(server, **options):
    client = aio.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
    connection = {"key_filename": server.path("user"), "timeout": 30, **options}
    connection |= {"allow_agent": False, "look_for_keys": False}
    try:
        await client.connect("127.0.0.1", server.port, server.user, **connection)
    except BaseException:
        client.close()
        raise
    return client


async def others_go_on():
    """Whether the loop is free: several turns of it pass."""
    for _ in range(5):
        await asyncio.sleep(0.001)


def test_commands(server):
    async def main():
        async with await connected(server) as client:
            stdin, stdout, stderr = await client.exec_command("cat; echo bad >&2; exit 7")
            await stdin.write("one\ntwo\n")
            await stdin.close()
            assert [line async for line in stdout] == ["one\n", "two\n"]
            assert await stderr.read() == b"bad\n"
            assert await stdout.channel.recv_exit_status() == 7
            channel = await client.invoke_shell()
            await channel.sendall("exit 3\n")
            assert await channel.recv_exit_status() == 3
        assert not client.blocking.get_transport()

    run(main)


def test_many_connections_take_no_threads(server, runtime):
    async def one(number):
        async with await connected(server) as client:
            stdin, stdout, _ = await client.exec_command(f"echo {number}; read line; echo $line")
            assert await stdout.readline() == f"{number}\n"
            arrived.append(number)
            if len(arrived) == 30:
                threads.append(threading.active_count())
                everybody.set()
            await everybody.wait()
            await stdin.write("done\n")
            return await stdout.read()

    async def main():
        nonlocal everybody
        everybody = asyncio.Event()
        # asyncio has a thread for the first that asks for an address.
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 1)
        before = threading.active_count()
        assert await asyncio.gather(*map(one, range(30))) == [b"done\n"] * 30
        # Those that asyncio itself asks for addresses in.
        assert threads[0] - before <= (os.cpu_count() or 1) + 4

    arrived, threads, everybody = [], [], None
    run(main)


def test_others_go_on_while_one_waits(server):
    async def main():
        async with await connected(server) as client:
            stdin, stdout, _ = await client.exec_command("read line; echo $line")
            waits = [
                asyncio.ensure_future(stdout.read()),
                asyncio.ensure_future(stdout.channel.recv_exit_status()),
            ]
            await others_go_on()
            assert not any(wait.done() for wait in waits)
            await stdin.write("line\n")
            assert await asyncio.gather(*waits) == [b"line\n", 0]

    run(main)


def test_limits(server):
    async def main():
        async with await connected(server) as client:
            _, stdout, _ = await client.exec_command("sleep 60", timeout=0.1)
            with pytest.raises(socket.timeout):
                await stdout.read()
            _, stdout, _ = await client.exec_command("sleep 60")
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(stdout.channel.recv_exit_status(), 0.1)
            _, stdout, _ = await client.exec_command("echo alive")
            assert await stdout.read() == b"alive\n"

    run(main)


@contextlib.contextmanager
def silent():
    """A server that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_who_is_cancelled_gives_up(server):
    async def main():
        loop = asyncio.get_running_loop()
        with silent() as listener:
            client = aio.SSHClient()
            port = listener.getsockname()[1]
            task = asyncio.ensure_future(client.connect("127.0.0.1", port, "ann", password="x"))
            connection, _ = await loop.run_in_executor(None, listener.accept)
            with connection:
                connection.settimeout(30)
                banner = await loop.run_in_executor(None, connection.recv, 100)
                assert banner.startswith(b"SSH-2.0-")
                await others_go_on()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                # It has hung up.
                while await loop.run_in_executor(None, connection.recv, 4096):
                    pass
            assert client.get_transport() is None
        async with await connected(server) as client:
            stdin, stdout, _ = await client.exec_command("echo first; read line")
            channel = stdout.channel
            assert await channel.recv(100) == b"first\n"
            for wait in (stdout.read, channel.recv_exit_status, stdout.readline):
                task = asyncio.ensure_future(wait())
                await others_go_on()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            # Others have not noticed, nor the command.
            await stdin.write("line\n")
            assert await channel.recv_exit_status() == 0
            _, stdout, _ = await client.exec_command("echo alive")
            assert await stdout.read() == b"alive\n"

    run(main)


def test_what_is_left_when_the_loop_ends(server):
    async def main():
        client = await connected(server)
        _, stdout, _ = await client.exec_command("sleep 60")
        left.append(asyncio.ensure_future(stdout.read()))
        await others_go_on()
        clients.append(client)

    left, clients = [], []
    run(main)
    assert left[0].cancelled()
    clients[0].close()


def test_files(server, tmp_path):
    content = os.urandom(3 << 20)
    local, back = tmp_path / "local", tmp_path / "back"
    local.write_bytes(content)
    remote = server.path("aio")

    async def main():
        async with await connected(server) as client, await client.open_sftp() as sftp:
            seen = []
            attributes = await sftp.put(
                local, remote, callback=lambda done, whole: seen.append((done, whole))
            )
            assert attributes.st_size == len(content)
            assert seen[-1] == (len(content), len(content))
            await sftp.get(remote, back)
            assert back.read_bytes() == content
            async with await sftp.open(remote, "rb") as file:
                assert await file.read(10) == content[:10]
                await file.seek(1 << 20)
                assert await file.read() == content[1 << 20 :]
                assert (await file.stat()).st_size == len(content)
            async with await sftp.open(f"{remote}2", "w") as file:
                await file.writelines(["one\n", "two\n"])
            async with await sftp.open(f"{remote}2") as file:
                assert [line async for line in file] == ["one\n", "two\n"]
            listed = [entry.filename async for entry in sftp.listdir_iter(str(server.folder))]
            assert {"aio", "aio2"} <= set(listed) == set(await sftp.listdir(str(server.folder)))
            pairs = [(remote, tmp_path / f"many{number}") for number in range(5)]
            assert await sftp.get_many(pairs) == [len(content)] * 5
            await asyncio.gather(*(sftp.remove(f"{remote}{it}") for it in ("", "2")))
            with pytest.raises(FileNotFoundError):
                await sftp.stat(remote)

    run(main)


def test_transfers_leave_others_their_turns(server, tmp_path):
    local, remote = tmp_path / "local", server.path("turns")
    local.write_bytes(bytes(32 << 20))

    async def main():
        async with await connected(server) as client, await client.open_sftp() as sftp:
            for transfer in (sftp.put(local, remote), sftp.get(remote, tmp_path / "back")):
                task = asyncio.ensure_future(transfer)
                turns = 0
                while not task.done():
                    turns += 1
                    await asyncio.sleep(0)
                await task
                assert turns > 10
            task = asyncio.ensure_future(sftp.get(remote, tmp_path / "back"))
            await others_go_on()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await sftp.normalize("/") == "/"

    run(main)


def test_errors_are_those_of_the_blocking_ones(server, free_port):
    async def main():
        with pytest.raises(paramiko.ssh_exception.NoValidConnectionsError):
            await aio.SSHClient().connect("127.0.0.1", free_port, "ann", password="x")
        with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
            await aio.SSHClient().connect("127.0.0.1", server.port, "ann", password="x")
        with pytest.raises(paramiko.AuthenticationException):
            await connected(server, key_filename=server.path("other"))
        with pytest.raises(paramiko.SSHException, match="not connected"):
            await aio.SSHClient().exec_command("true")
        with pytest.raises(socket.gaierror):
            await aio.SSHClient().connect("no-such-host.invalid", username="ann", password="x")

    run(main)


def test_many_hosts(server, start, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = {"key_filename": server.path("user"), "allow_agent": False, "look_for_keys": False}
    options |= {"policy": paramiko.AutoAddPolicy, "timeout": 30}
    host = f"{server.user}@127.0.0.1:{server.port}"

    async def main():
        results = await aio.run_many([host] * 10 + ["127.0.0.1:1"], "echo out", **options)
        assert [it.stdout for it in results] == [b"out\n"] * 10 + [b""]
        assert isinstance(results[-1].error, OSError)
        results = await aio.run_many([host] * 5, "echo out", proxy_jump=host, **options)
        assert [it.stdout for it in results] == [b"out\n"] * 5
        async with await connected(server) as client:
            results = await aio.run_many([host] * 5, "echo out", proxy_jump=client, **options)
            assert [it.stdout for it in results] == [b"out\n"] * 5
        with pytest.raises(ValueError, match="at_once"):
            await aio.run_many([host], "true", at_once=0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aio.run_many([host] * 3, "sleep 60", **options), 1)

    run(main)


def test_connections_through_others(server, start):
    async def main():
        async with (
            await connected(server) as near,
            await connected(server, proxy_jump=near) as far,
            await connected(server, proxy_jump=f"{server.user}@127.0.0.1:{server.port}") as other,
        ):
            for client in (far, other):
                _, stdout, _ = await client.exec_command("echo far")
                assert await stdout.read() == b"far\n"

    run(main)


def test_any_blocking_call(server):
    variable = contextvars.ContextVar("variable", default="none")

    def blocking():
        with server.client() as client:
            _, stdout, _ = client.exec_command("echo $FRUIT", environment={"FRUIT": "fig"})
            variable.set("changed")
            return stdout.read()

    def stops():
        raise StopIteration

    async def main():
        variable.set("own")
        results = await asyncio.gather(*(aio.call(blocking) for _ in range(3)))
        assert results == [b"fig\n"] * 3
        assert variable.get() == "own"
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            await aio.call(stops)

    run(main)
    with pytest.raises(RuntimeError, match="no running event loop"):
        aio.call(blocking).send(None)


def test_the_loop_of_a_hub(server):
    from manyhands.gevent import aio as hub_aio, spawn

    async def main():
        async with await connected(server) as client:
            stdin, stdout, _ = await client.exec_command("read line; echo $line")
            reading = asyncio.ensure_future(stdout.read())
            await others_go_on()
            await stdin.write("line\n")
            return await reading

    def work():
        greenlets = [spawn(hub_aio.run, main()) for _ in range(3)]
        results.extend(it.get(timeout=LIMIT) for it in greenlets)
        assert hub_aio.run(main()) == b"line\n"

    results = []
    # Of which the hub goes with it.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert results == [b"line\n"] * 3
