//! What well-behaved clients get.

use manyhands_manager::pickle::Plain;

use crate::common::{Client, create, int, request, serve, serve_locally, str};

#[test]
fn what_is_put_is_got_by_others() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let (one, other) = (Client::new(&served), Client::new(&served));
    for text in ["a", "b"] {
        assert!(matches!(one.call(&queue, "put", &[str(text)]).value(), Plain::None));
    }
    for text in ["a", "b"] {
        assert!(other.call(&queue, "get", &[]).value().equals(&str(text)));
    }
}

#[test]
fn who_waits_is_answered_when_there_is_something() {
    let served = serve_locally("waits");
    let queue = create(&served, "Queue", &[]);
    let getters: Vec<Client> = (0..50).map(|_| Client::new(&served)).collect();
    let putter = Client::new(&served);
    for (number, getter) in getters.iter().enumerate() {
        getter.send(&request(Some(&queue), "get", &[], None));
        // Its request is there before the next one's is sent: another one of it would be answered.
        while putter.call(&queue, "qsize", &[]).value().equals(&int(-1)) {}
        let _ = number;
    }
    for number in 0..50 {
        putter.call(&queue, "put", &[int(number)]).value();
    }
    let mut got: Vec<i64> = getters
        .iter()
        .map(|getter| match getter.receive().value() {
            Plain::Int(manyhands_manager::pickle::Integer::Small(number)) => number,
            other => panic!("{other:?}"),
        })
        .collect();
    got.sort_unstable();
    assert_eq!(got, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_timeout_raises() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let client = Client::new(&served);
    let answer = client.call(&queue, "get", &[Plain::Bool(true), Plain::Float(0.01)]);
    assert_eq!(answer.raised().1, "Empty");
    // And nobody waits there any more.
    client.call(&queue, "put", &[int(1)]).value();
    assert!(client.call(&queue, "qsize", &[]).value().equals(&int(1)));
}

#[test]
fn references_decide_how_long_an_object_lives() {
    let served = serve();
    let list = create(&served, "list", &[]);
    assert_eq!(served.server.objects(), [(list.clone(), 1)]);
    let client = Client::new(&served);
    let count = |function: &str| {
        let request = request(None, function, &[str(&list)], None);
        Client::connect(&served).ask(&request).value();
    };
    count("incref");
    count("decref");
    assert!(client.call(&list, "__len__", &[]).value().equals(&int(0)));
    count("decref");
    assert_eq!(served.server.number_of_objects(), 0);
    assert!(client.call(&list, "__len__", &[]).text().contains("Python"));
}

#[test]
fn a_method_that_is_not_exposed_is_refused() {
    let served = serve();
    let list = create(&served, "list", &[]);
    let answer = Client::new(&served).call(&list, "pop", &[]);
    assert!(answer.text().contains("not in exposed"), "{answer:?}");
}

#[test]
fn large_payloads_come_back_as_they_were() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let client = Client::new(&served);
    let bytes: Vec<u8> = (0..20_000_000u32).map(|number| number.to_le_bytes()[1]).collect();
    client.call(&queue, "put", &[Plain::Bytes(bytes.clone().into())]).value();
    match client.call(&queue, "get", &[]).value() {
        Plain::Bytes(back) => assert!(*back == *bytes),
        _ => panic!("no bytes"),
    }
}

#[test]
fn many_requests_at_once_are_answered_in_their_order() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let client = Client::new(&served);
    for number in 0..1000 {
        client.send(&request(Some(&queue), "put", &[int(number)], None));
        client.send(&request(Some(&queue), "get", &[], None));
    }
    for number in 0..1000 {
        client.receive().value();
        assert!(client.receive().value().equals(&int(number)));
    }
}

#[test]
fn a_dead_process_does_not_keep_its_lock() {
    let served = serve_locally("dies");
    let lock = create(&served, "Lock", &[]);
    // A process by itself holds the lock; over TCP the connection stands for the process.
    let tcp = serve();
    let other = create(&tcp, "Lock", &[]);
    let holder = Client::new(&tcp);
    holder.call(&other, "acquire", &[]).value();
    let (waiter, _) = Client::ours(&tcp, &[]);
    waiter.send(&request(Some(&other), "acquire", &[], Some(1)));
    drop(holder);
    let answer = waiter.receive();
    assert!(answer.value().equals(&Plain::Bool(true)));
    assert!(answer.notes().is_some());
    // Who is left to release it instead may do so, once.
    waiter.ask(&request(Some(&other), "release", &[], Some(2))).value();
    let holder = Client::new(&tcp);
    holder.call(&other, "acquire", &[]).value();
    drop(holder);
    while waiter.ask(&request(Some(&other), "release", &[], None)).kind != "#RETURN" {}
    let again = waiter.ask(&request(Some(&other), "release", &[], None));
    assert_eq!(again.raised().1, "RuntimeError");
    // Threads of one living process are not dead when their connections end.
    let holder = Client::new(&served);
    holder.call(&lock, "acquire", &[]).value();
    drop(holder);
    let waiter = Client::new(&served);
    let answer = waiter.call(&lock, "acquire", &[Plain::Bool(true), Plain::Float(0.1)]);
    assert!(answer.value().equals(&Plain::Bool(false)));
}
