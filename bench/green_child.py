"""One world of greenlets in a process of its own: `python -m bench.green_child WORLD WHAT`.

`serve`: writes the port of a TCP server that echoes, and ends with its standard input. `parked`:
writes how many bytes a task takes that waits. `fetch PORT`: writes the seconds of CPU, and of the
clock, that fetches take which overlap.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from importlib import import_module
from pathlib import Path
from resource import RLIMIT_NOFILE, getpagesize, getrlimit, setrlimit
from typing import Any

from bench import greens

#: How many tasks wait at once, and how many pages are fetched at once.
PARKED = 20_000
FETCHES = 200

SIZE = 4096


def resident(pid: str | int = "self") -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize()


def all_descriptors() -> int:
    _, most = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (most, most))
    return most


def listener() -> socket.socket:
    heard = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(heard.getsockname()[1], flush=True)
    return heard


def echo(connection: Any, *_: Any) -> None:
    receive, send = connection.recv, connection.sendall
    while data := receive(SIZE):
        send(data)
    connection.close()


def serve_gevent(package: str) -> None:
    server = import_module(f"{package}.server")
    own_socket = import_module(f"{package}.socket")
    server.StreamServer(own_socket.socket(fileno=listener().detach()), echo).serve_forever()


def serve_eventlet() -> None:
    import eventlet

    heard = eventlet.listen(("127.0.0.1", 0), backlog=4096)
    print(heard.getsockname()[1], flush=True)
    eventlet.serve(heard, echo, concurrency=20_000)


def serve_threads() -> None:
    heard = listener()
    while True:
        connection, _ = heard.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def serve_asyncio(loop: Any) -> None:
    import asyncio

    async def answer(reader: Any, writer: Any) -> None:
        while data := await reader.read(SIZE):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, sock=listener(), backlog=4096)
        await server.serve_forever()

    loop.run_until_complete(main())


def serve_trio() -> None:
    import trio

    async def answer(stream: Any) -> None:
        while data := await stream.receive_some(SIZE):
            await stream.send_all(data)

    async def main() -> None:
        heard = trio.SocketListener(trio.socket.from_stdlib_socket(listener()))
        await trio.serve_listeners(answer, [heard])

    trio.run(main)


def serve(world: str) -> None:
    all_descriptors()
    # Whoever measures has died, or has seen enough.
    threading.Thread(target=lambda: (sys.stdin.read(), end()), daemon=True).start()
    if world == "threads":
        serve_threads()
    elif world == "eventlet":
        serve_eventlet()
    elif world == "trio":
        serve_trio()
    elif world in ("asyncio", "uvloop"):
        serve_asyncio(greens.of_asyncio(world).new_loop())
    else:
        serve_gevent(greens.package_of(world))


def end() -> None:
    os._exit(0)


def tell_parked(before: int) -> None:
    print((resident() - before) / PARKED)
    sys.stdout.flush()
    end()


def parked(world: str) -> None:
    """Bytes for each of many tasks that sleep."""
    green = greens.by_name(world)
    if hasattr(green, "spawn"):
        green.join([green.spawn(green.sleep, 0)])
        before = resident()
        tasks = [green.spawn(green.sleep, 1000) for _ in range(PARKED)]
        green.sleep(1)
        assert len(tasks) == PARKED
        tell_parked(before)

    async def main() -> None:
        async def look() -> None:
            await green.sleep(1)
            tell_parked(before)

        before = resident()
        await green.together(*[lambda: green.sleep(1000)] * PARKED, look)

    green.run(main)


def fetch(world: str, port: str) -> tuple[float, float]:
    """What as many fetches by urllib take as there are tasks, in a program that was patched."""
    if world == "eventlet":
        import eventlet

        eventlet.monkey_patch()
    elif world != "threads":
        import_module(f"{greens.package_of(world)}.monkey").patch_all()
    from urllib.request import ProxyHandler, build_opener

    opener = build_opener(ProxyHandler({}))
    url = f"http://127.0.0.1:{port}/"

    def one(*_: Any) -> None:
        with opener.open(url) as answer:
            assert len(answer.read()) == 1024

    green = greens.by_name(world)
    one()
    return green.together(*[one] * FETCHES)


def main() -> None:
    world, what, *args = sys.argv[1:]
    if what == "serve":
        serve(world)
    elif what == "parked":
        parked(world)
    else:
        print(*fetch(world, *args))
    sys.stdout.flush()
    end()


if __name__ == "__main__":
    main()
