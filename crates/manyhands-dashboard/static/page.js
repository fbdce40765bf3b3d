"use strict";
const $ = (id) => document.getElementById(id);

const number = (value, digits = 0) =>
  value === null || value === undefined ? "" : value.toLocaleString(undefined, { maximumFractionDigits: digits });

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round(seconds % 3600 / 60)} min`;
}

const bytes = (value) => value >= 1 << 30 ? `${number(value / 2 ** 30, 1)} GiB` : `${number(value / 2 ** 20)} MiB`;

// Rows stay the same elements as long as what they show is there: so nobody loses their place.
function fill(id, rows) {
  const table = $(id), body = table.tBodies[0];
  table.closest("section").hidden = rows.length === 0;
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  rows.forEach(({ key, kind = "", cells }, index) => {
    let row = known.get(key);
    known.delete(key);
    if (!row) {
      row = document.createElement("tr");
      row.dataset.key = key;
      cells.forEach((_, column) => {
        const cell = document.createElement(column ? "td" : "th");
        if (!column) cell.scope = "row";
        row.append(cell);
      });
    }
    row.className = kind;
    cells.forEach((cell, column) => put(row.cells[column], cell));
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
  });
  for (const row of known.values()) row.remove();
}

function put(cell, content) {
  if (typeof content === "function") {
    content(cell);
  } else if (cell.textContent !== String(content)) {
    cell.textContent = content;
  }
}

const progress = (done, all) => (cell) => {
  let bar = cell.firstElementChild;
  if (!bar) {
    bar = document.createElement("progress");
    bar.setAttribute("aria-label", "calls done");
    cell.append(bar);
  }
  bar.max = all || 1;
  bar.value = all ? done : 1;
};

const badged = (text, badge) => (cell) => {
  const wanted = badge ? `${text} ${badge}` : text;
  if (cell.dataset.text === wanted) return;
  cell.dataset.text = wanted;
  cell.textContent = text;
  if (badge) {
    const mark = document.createElement("span");
    mark.className = "badge";
    mark.textContent = badge;
    cell.append(" ", mark);
  }
};

const marked = (count) => (cell) => {
  cell.textContent = number(count);
  cell.className = count ? "failed" : "";
};

const stacked = (name, stack) => (cell) => {
  let details = cell.firstElementChild;
  if (!details) {
    details = document.createElement("details");
    details.append(document.createElement("summary"), document.createElement("pre"));
    cell.append(details);
  }
  const lines = stack.map((call) => `${call.file}:${call.line} in ${call.function}\n    ${call.text}`);
  put(details.firstElementChild, name);
  put(details.lastElementChild, lines.join("\n") || "no stack is known");
};

const named = (seen) => (seen.name ? `${seen.name} (${seen.kind})` : seen.kind);

function showPools(now) {
  const row = (pool) => {
    const ended = pool.ended || Boolean(now.ended), all = pool.done + pool.failed + pool.running + pool.waiting;
    return {
      key: `${pool.pid}-${pool.id}`,
      kind: ended ? "ended" : "",
      cells: [
        badged(`${pool.kind} of ${pool.pid}`, ended ? "ended" : ""), progress(pool.done + pool.failed, all),
        number(pool.done), number(pool.running), number(pool.waiting), marked(pool.failed),
        number(pool.rate, 1), ended ? "" : duration(pool.left), number(pool.workers),
      ],
    };
  };
  fill("pools", [...now.pools, ...now.gone_pools].map(row));
}

function showQueues(now) {
  fill("queues", now.queues.map((queue) => ({
    key: queue.id,
    cells: [
      named(queue), number(queue.size), number(queue.capacity), number(queue.put_rate, 1),
      number(queue.take_rate, 1), number(queue.waiters), duration(queue.longest),
    ],
  })));
}

function showLocks(now) {
  fill("locks", now.locks.map((lock) => ({
    key: lock.id,
    cells: [named(lock), lock.holder || "", number(lock.waiters), duration(lock.longest), number(lock.waits)],
  })));
}

function showThreads(now) {
  const rows = [];
  const percent = (cpu) => (cpu === null ? "" : `${number(cpu)} %`);
  for (const process of now.processes) {
    rows.push({
      key: `${process.pid}`,
      kind: "process",
      cells: [`${process.pid} ${process.command}`, percent(process.cpu), bytes(process.memory), process.silent || "", ""],
    });
    for (const thread of process.threads) rows.push({
      key: `${process.pid}-${thread.thread}-${thread.greenlet}`,
      kind: "thread",
      cells: [
        stacked(thread.greenlet ? `greenlet ${thread.name}` : thread.name, thread.stack), percent(thread.cpu), "",
        thread.waits_for || "", duration(thread.seconds),
      ],
    });
  }
  fill("threads", rows);
}

function showTrouble(deadlocks) {
  const section = $("trouble"), text = deadlocks.join("\n");
  if (section.dataset.text === text) return;
  section.dataset.text = text;
  section.hidden = !text;
  section.replaceChildren();
  if (text) {
    const title = document.createElement("h2"), report = document.createElement("pre");
    title.textContent = "It does not go on";
    report.textContent = text.replaceAll("manyhands: ", "");
    section.append(title, report);
  }
}

function say(text, over = false) {
  const state = $("state");
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("over", over);
}

let over = false, last = {};
function show(told) {
  if (!told) return;
  // What the program told last is shown while it says nothing, and when it has ended.
  const now = told.processes ? told : { ...last, ...told };
  last = now;
  if (now.processes) {
    const command = now.processes[0].command;
    $("program").textContent = command;
    document.title = `${command} – Manyhands`;
    showPools(now);
    showQueues(now);
    showLocks(now);
    showThreads(now);
    showTrouble(now.deadlocks);
  }
  over = Boolean(now.ended);
  if (over) say(now.ended, true);
  else if (told.silent) say(told.silent);
  else say(`${now.processes.length} ${now.processes.length === 1 ? "process" : "processes"}, looked at every second`);
}

const news = new EventSource("news" + location.search);
news.onmessage = (event) => {
  show(JSON.parse(event.data));
  if (over) news.close();
};
news.onerror = () => { if (!over) say("The connection is lost: it seems that the program has ended.", true); };
