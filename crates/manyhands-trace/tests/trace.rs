//! What threads and processes note, and what is read of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use manyhands_sys::time;
use manyhands_trace::{
    Kind, SHARED, Store, Trace, What, begin, call, chrome, end, finish, fixed_label, html, item,
    label, name, name_object, now, span, svg,
};

/// There is one trace in a process at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is noted by a function.
fn traced(body: impl FnOnce()) -> Trace {
    let _alone = alone();
    let store = Arc::new(Store::create().expect("there is memory"));
    begin(&store);
    body();
    end();
    Trace::read(&store)
}

fn noted(number: u64) {
    span(Kind::Wait, fixed_label("get"), number, 0, now());
}

#[test]
fn what_is_noted_is_read() {
    let before = now();
    let trace = traced(|| {
        name(What::Thread, manyhands_sys::thread::kernel_id().into(), "cook");
        name_object(What::Object, 7, || "Queue".to_owned());
        name_object(What::Object, 7, || unreachable!("it has a name"));
        span(Kind::Task, label("stir"), 0, 0, now());
        item(true, 7, || 7, || 3);
    });
    let [task, put] = trace.events[..] else { panic!("{:?}", trace.events) };
    assert_eq!((trace.text(&task), trace.title(&task).as_str()), ("stir", "stir"));
    assert_eq!(trace.thread(task.pid, task.event.thread), "cook");
    assert_eq!((put.event.kind, put.event.value), (Kind::Put, 3));
    assert_eq!(trace.title(&put), "put Queue 1");
    assert!(before <= task.event.begun && task.event.begun <= put.event.begun);
    assert_eq!(trace.lost, 0);
}

#[test]
fn nothing_is_noted_after_the_end() {
    let trace = traced(|| ());
    item(true, 7, || 7, || 3);
    assert_eq!((trace.events.len(), trace.lost), (0, 0));
}

#[test]
fn the_oldest_events_go_and_are_counted() {
    const EVENTS: u64 = 60_000;
    let trace = traced(|| (0..EVENTS).for_each(noted));
    let kept = trace.events.len() as u64;
    assert!((1_000..EVENTS).contains(&kept));
    assert_eq!(kept + trace.lost, EVENTS);
    let values: Vec<u64> = trace.events.iter().map(|noted| noted.event.object).collect();
    assert_eq!(values, (EVENTS - kept..EVENTS).collect::<Vec<_>>());
}

/// Calls of a function that takes so long, or raises.
fn called(key: usize, duration: Duration, result: Result<(), ()>) {
    let _ = call(
        key,
        || (label(&format!("function {key}")), 0),
        || {
            let until = time::now() + duration;
            while time::now() < until {
                std::hint::spin_loop();
            }
            result
        },
    );
}

#[test]
fn what_comes_fast_is_noted_together() {
    const MANY: u64 = 20_000;
    let trace = traced(|| {
        (0..MANY).for_each(|items| item(true, 7, || 7, || items));
        (0..MANY).for_each(|_| called(1, Duration::ZERO, Ok(())));
        finish();
    });
    let counted = |kind: Kind| {
        let events = trace.events.iter().map(|noted| noted.event);
        let counts: Vec<u64> =
            events.filter(|event| event.kind == kind).map(|event| event.count.into()).collect();
        (counts.len() as u64, counts.iter().sum::<u64>())
    };
    let (events, puts) = counted(Kind::Put);
    assert!(events < MANY / 4, "{events}");
    assert_eq!(puts, MANY);
    let (events, calls) = counted(Kind::Task);
    assert!(events < MANY / 4, "{events}");
    assert_eq!(calls, MANY);
    let ends = trace.events.iter().filter(|noted| noted.event.kind == Kind::Task);
    let ends: Vec<(u64, u64)> =
        ends.map(|noted| (noted.event.begun, noted.event.begun + noted.event.value)).collect();
    assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0), "batches overlap");
}

#[test]
fn calls_that_last_are_noted_one_by_one() {
    const LONG: Duration = Duration::from_millis(1);
    let trace = traced(|| {
        (0..100).for_each(|_| called(1, Duration::ZERO, Ok(())));
        called(2, LONG, Ok(()));
        called(2, LONG, Err(()));
        called(3, LONG, Ok(()));
    });
    let last = &trace.events[trace.events.len() - 3..];
    let told: Vec<_> =
        last.iter().map(|noted| (noted.event.kind, trace.text(noted), noted.event.count)).collect();
    let expected = [
        (Kind::Task, "function 2", 1),
        (Kind::Failed, "function 2", 1),
        (Kind::Task, "function 3", 1),
    ];
    assert_eq!(told, expected);
    assert!(last.iter().all(|noted| noted.event.value >= LONG.as_nanos() as u64));
    let calls: u64 = trace.events.iter().map(|noted| u64::from(noted.event.count)).sum();
    assert_eq!(calls, 103);
}

#[test]
fn a_call_within_a_call_is_noted_by_itself() {
    let trace = traced(|| {
        let _ = call(
            1,
            || (label("outer"), 0),
            || {
                called(1, Duration::ZERO, Ok(()));
                called(2, Duration::ZERO, Err(()));
                Ok::<(), ()>(())
            },
        );
    });
    let told: Vec<_> = trace.events.iter().map(|noted| trace.text(noted)).collect();
    assert_eq!(told, ["outer", "function 1", "function 2"]);
    let [outer, first, second] = [0, 1, 2].map(|index| trace.events[index].event);
    assert!(first.begun + first.value <= second.begun);
    assert!(second.begun + second.value <= outer.begun + outer.value);
}

#[test]
fn threads_have_rings_of_their_own_and_leave_them_to_others() {
    let trace = traced(|| {
        for round in 0..50 {
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || {
                        for n in 0..100 {
                            span(Kind::Wait, fixed_label("get"), thread, round * 100 + n, now());
                        }
                    });
                }
            });
        }
    });
    assert_eq!((trace.events.len(), trace.lost), (4 * 50 * 100, 0));
    let mut values: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for noted in &trace.events {
        values.entry(noted.event.object).or_default().push(noted.event.greenlet);
    }
    assert!(values.values().all(|values| values.is_sorted() && values.len() == 5_000));
}

#[test]
fn what_is_read_meanwhile_is_whole() {
    let _alone = alone();
    let store = Arc::new(Store::create().expect("there is memory"));
    begin(&store);
    let until = time::now() + Duration::from_millis(300);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while time::now() < until {
                n += 1;
                span(Kind::Wait, fixed_label("get"), n, n, now());
            }
        });
        while time::now() < until {
            let trace = Trace::read(&store);
            let numbers =
                trace.events.iter().map(|noted| (noted.event.object, noted.event.greenlet));
            for (expected, (object, value)) in (trace.lost + 1..).zip(numbers) {
                assert_eq!((object, value), (expected, expected));
            }
        }
    });
    end();
}

#[test]
fn forked_children_note_what_they_do_also_if_they_are_killed() {
    let trace = traced(|| {
        label("parent's");
        span(Kind::Task, label("before"), SHARED | 5, 0, now());
        for _ in 0..2 {
            // SAFETY: the child calls what may be called in one, and does not come back.
            #[expect(unsafe_code, reason = "the test forks")]
            match unsafe { libc::fork() } {
                0 => {
                    name_object(What::Object, SHARED | 5, || "Lock".to_owned());
                    span(Kind::Task, label("in a child"), SHARED | 5, 0, now());
                    // SAFETY: a signal to itself.
                    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
                }
                child => {
                    // SAFETY: it waits for its own child, and wants no status.
                    assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
                }
            }
        }
        span(Kind::Task, label("after"), 0, 0, now());
    });
    let texts: Vec<&str> = trace.events.iter().map(|noted| trace.text(noted)).collect();
    assert_eq!(texts, ["before", "in a child", "in a child", "after"]);
    let mut pids: Vec<u32> = trace.events.iter().map(|noted| noted.pid).collect();
    assert_eq!((pids[0], pids[3]), (std::process::id(), std::process::id()));
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 3);
    assert_eq!(trace.object(&trace.events[0]).as_deref(), Some("Lock 1"));
}

#[test]
fn another_process_finds_it() {
    let _alone = alone();
    let store = Store::create().expect("there is memory");
    let descriptor = store.descriptor().expect("it is open");
    let again = Store::open(std::process::id(), descriptor).expect("it is this process's");
    begin(&Arc::new(again));
    noted(1);
    end();
    assert_eq!(Trace::read(&store).events.len(), 1);
    assert!(Store::open(std::process::id(), 0).is_err());
}

/// A trace with a bit of all there is, and with names that must not be taken for markup.
fn motley() -> Trace {
    traced(|| {
        let begun = now() - 5_000_000;
        name(What::Process, std::process::id().into(), "</script><b>\"&");
        name_object(What::Object, 3, || "Lock".to_owned());
        name_object(What::Object, SHARED | 9, || "Queue".to_owned());
        span(Kind::Task, label("<lambda>"), 0, 0, begun);
        span(Kind::Failed, label("f&g"), 0, 0, begun);
        span(Kind::Wait, label("acquire"), 3, 77, begun);
        span(Kind::Hold, label("hold"), 3, 0, begun);
        // Each is another queue's, as far as is known when it comes.
        (0..5).for_each(|items| item(true, items + 1, || SHARED | 9, || items));
        item(false, 1, || SHARED | 9, || 4);
    })
}

fn written(write: impl Fn(&Trace, &mut Vec<u8>) -> std::io::Result<()>, trace: &Trace) -> String {
    let mut out = Vec::new();
    write(trace, &mut out).expect("memory can be written");
    String::from_utf8(out).expect("it is text")
}

#[test]
fn perfetto_gets_json() {
    let text = written(chrome::write, &motley());
    let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let events = json["traceEvents"].as_array().expect("a list");
    let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
    assert_eq!((of("X"), of("b"), of("e"), of("i"), of("C")), (3, 1, 1, 6, 6));
    let named: Vec<&str> =
        events.iter().filter_map(|event| event["args"]["name"].as_str()).collect();
    assert!(named.contains(&"shared by processes"), "{named:?}");
    assert!(named.iter().any(|name| name.starts_with("greenlet 4d of ")), "{named:?}");
    for event in events.iter().filter(|event| event["ph"] == "X") {
        assert!(event["dur"].as_f64().expect("a number") >= 5_000.0);
    }
}

#[test]
fn pages_and_pictures_say_what_they_are_told_as_text() {
    let trace = motley();
    let page = written(html::write, &trace);
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains("\\u003c/script>"));
    assert!(!page.contains("http://") && !page.contains("https://"));
    let picture = written(svg::write, &trace);
    assert!(picture.contains("&lt;/script&gt;&lt;b&gt;&quot;&amp;"));
    assert!(!picture.contains("</script>"));
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
}

#[test]
fn a_trace_of_nothing_is_one() {
    let trace = traced(|| ());
    for text in
        [written(chrome::write, &trace), written(html::write, &trace), written(svg::write, &trace)]
    {
        assert!(!text.is_empty());
    }
    assert!(written(svg::write, &trace).contains("0 events"));
}
