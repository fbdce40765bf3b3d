"""Managers' servers and clients as programs of their own, for tests of who understands whom.

    python managed.py serve PACKAGE ADDRESS      prints its address
    python managed.py ask PACKAGE ADDRESS        prints what each of the operations below gives

PACKAGE is `multiprocessing` or `manyhands.multiprocessing`. Nothing else is imported, so that any
interpreter can run it.
"""

import re
import sys
from importlib import import_module

KEY = b"a key"

OPERATIONS = r"""
l = m.list([3, 1, 2])
l
len(l)
l[0], l[-1], l[1:]
l[7]
l["a"]
l[0] = 30
l[1:2] = [10, 11]
del l[0]
l
l.append("end")
l.extend([None, 1.5, (1, "a"), {"k": b"v"}])
l.insert(0, b"bytes")
l.index(11)
l.index("no")
l.count(2)
2 in l, "no" in l
l.pop(), l.pop(0)
l.remove("end")
l.remove("end")
l.reverse()
l
l + [1]
l * 2
2 * l
l += [5]
l *= 2
l
n = m.list([3, 1, 2, 3])
n.sort()
n
n.sort(reverse=True)
n
n.sort(key=abs)
n
m.list([1, "a"]).sort()
list(reversed(n))
[x for x in n]
n[1:] == [2, 3, 3]
m.list().pop()
m.list(5)
n._getvalue()
n._callmethod("nothing")
n._callmethod("__class__")
d = m.dict({"a": 1}, b=2)
d
len(d)
d["a"], d["b"]
d["c"]
d["c"] = [1, 2]
d[(1, "t")] = None
d[1] = "int"
d[1.0], d[True]
d[[]] = 1
d
"a" in d, "z" in d
d.get("a"), d.get("z"), d.get("z", 5)
sorted(map(str, d.keys()))
sorted(map(str, d.values()))
sorted(map(str, d.items()))
sorted(map(str, d))
list(iter(m.dict()))
next(iter(m.dict()))
d.copy()
d.setdefault("a", 7), d.setdefault("s", 7)
d.update({"u": 1}, v=2)
d.update([("w", 3)])
d.pop("u"), d.pop("u", None)
d.pop("u")
del d["v"]
del d["v"]
m.dict({"only": 1}).popitem()
m.dict().popitem()
d.clear()
d
m.dict(zip("ab", [1, 2]))
m.dict(5)
q = m.Queue()
q.empty(), q.full(), q.qsize()
q.put(1)
q.put("two", False)
q.put_nowait({"three": 3})
q.qsize()
q.get(), q.get(True, 1), q.get_nowait()
q.get_nowait()
q.get(timeout=0.01)
q.task_done()
q.task_done()
q.task_done()
q.task_done()
q.join()
f = m.Queue(1)
f.put(1)
f.full()
f.put_nowait(2)
f.put(2, timeout=0.01)
f.put(2, timeout=-1)
j = m.JoinableQueue()
j.put(None)
j.get()
j.task_done()
j.join()
k = m.Lock()
k.acquire()
k.acquire(False)
k.acquire(True, 0.01)
k.release()
k.release()
k.__enter__()
k.__exit__(None, None, None)
r = m.RLock()
r.acquire(), r.acquire(False)
r.release()
r.release()
r.release()
s = m.Semaphore(2)
s.acquire(), s.acquire(False), s.acquire(False), s.acquire(timeout=0.01)
s.release()
b = m.BoundedSemaphore(1)
b.acquire()
b.release()
b.release()
m.Semaphore(-1)
e = m.Event()
e.is_set()
e.wait(0.01)
e.set()
e.is_set(), e.wait(), e.wait(5)
e.clear()
e.is_set()
c = m.Condition()
c.notify()
c.acquire()
c.wait(0.01)
c.wait_for(lambda: False, 0.01)
c.wait_for(lambda: 7)
c.notify(), c.notify(2), c.notify_all()
c.release()
c.release()
g = m.Barrier(1)
g.parties, g.n_waiting, g.broken
g.wait()
g.abort()
g.broken
g.wait()
g.reset()
g.wait(1)
m.Barrier(2).wait(0.01)
v = m.Value("i", 3)
v
v.value
v.value = 4
v.get()
v.set("anything")
v.value
a = m.Array("i", [1, 2, 3])
a
len(a), a[0], a[1:]
a[0] = 7
a[9]
a[0] = "text"
list(a)
a[:] == a[:]
n = m.Namespace(x=1)
n
n.x
n.y = [2]
n.y
n.z
del n.x
n.x
n._hidden = 1
n._hidden
n
o = m.list()
d["o"] = o
d["o"].append(5)
o
type(d["o"]).__name__
o.append(m.dict(inner=1))
o[1]["inner"]
o[1]["inner"] = 2
str(o[1])
w = m.Queue()
w.put(o)
w.get()[0]
p = m.Pool(1)
p.apply(abs, (-1,))
p.map(abs, [-1, -2])
p.starmap(divmod, [(7, 2)])
x = p.apply_async(abs, (-3,))
x.get(), x.ready(), x.successful()
p.apply_async(divmod, (1, 0)).get()
list(p.imap(abs, [-1, -2]))
sorted(p.imap_unordered(abs, [-1, -2]))
p.map_async(abs, [-5]).get()
p.close()
p.join()
m.nothing()
m._create("nothing")
"""


def manager(package, address):
    managers = import_module(package + ".managers")
    # Proxies that come from a server take the key from here.
    import_module("multiprocessing").current_process().authkey = KEY
    return managers.SyncManager(address, authkey=KEY)


def serve(package, address):
    # A Pool in it starts children.
    server = manager(package, address).get_server()
    print(repr(server.address), flush=True)
    server.serve_forever()


def show(value):
    if hasattr(value, "_callmethod"):
        return "proxy of " + show(value._getvalue())
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + "(" + ", ".join(map(show, value)) + ")"
    return re.sub("0x[0-9a-f]+", "0x", repr(value))


def outcome(line, names):
    try:
        try:
            code = compile(line, "operation", "eval")
        except SyntaxError:
            exec(line, names)
            return "done"
        return show(eval(code, names))
    except BaseException as error:
        last = str(error).rstrip("-\n").rpartition("\n")[2]
        return type(error).__name__ + ": " + re.sub("0x[0-9a-f]+", "0x", last)


def ask(package, address):
    connected = manager(package, address)
    connected.connect()
    names = {"m": connected}
    for line in OPERATIONS.strip().splitlines():
        print(line, "->", outcome(line, names), flush=True)


if __name__ == "__main__":
    command, package, address = sys.argv[1:]
    {"serve": serve, "ask": ask}[command](package, eval(address))
