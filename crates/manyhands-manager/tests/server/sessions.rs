//! Clients of ours come back after a broken connection.

use manyhands_manager::pickle::{Integer, Plain};

use crate::common::{Client, create, int, request, serve, str};

fn number(said: &std::collections::HashMap<String, Plain>) -> i64 {
    match said.get("number") {
        Some(Plain::Int(Integer::Small(number))) => *number,
        other => panic!("no number: {other:?}"),
    }
}

#[test]
fn a_request_that_came_is_not_carried_out_again() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let (client, said) = Client::ours(&served, &[]);
    let session = said["session"].clone();
    assert_eq!(number(&said), 0);
    client.ask(&request(Some(&queue), "put", &[int(1)], Some(1))).value();
    client.send(&request(Some(&queue), "put", &[int(2)], Some(2)));
    // The connection breaks before the answer is read.
    client.receive();
    drop(client);
    let (client, said) = Client::ours(&served, &[("session", session), ("waiting", int(2))]);
    assert_eq!(number(&said), 2);
    assert!(matches!(client.receive().value(), Plain::None));
    let size = client.ask(&request(Some(&queue), "qsize", &[], Some(3))).value();
    assert!(size.equals(&int(2)));
}

#[test]
fn a_request_that_did_not_come_is_to_be_sent_again() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let (client, said) = Client::ours(&served, &[]);
    let session = said["session"].clone();
    drop(client);
    let (client, said) = Client::ours(&served, &[("session", session), ("waiting", int(1))]);
    assert_eq!(number(&said), 0);
    client.ask(&request(Some(&queue), "put", &[int(1)], Some(1))).value();
}

#[test]
fn a_call_goes_on_waiting_while_its_client_is_away() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let (client, said) = Client::ours(&served, &[]);
    let session = said["session"].clone();
    client.send(&request(Some(&queue), "get", &[], Some(1)));
    let other = Client::new(&served);
    drop(client);
    let (client, said) = Client::ours(&served, &[("session", session), ("waiting", int(1))]);
    if number(&said) == 0 {
        client.send(&request(Some(&queue), "get", &[], Some(1)));
    }
    other.call(&queue, "put", &[str("waited for")]).value();
    assert!(client.receive().value().equals(&str("waited for")));
}

#[test]
fn what_was_taken_for_who_does_not_come_back_is_given_to_another() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let (client, _) = Client::ours(&served, &[]);
    client.send(&request(Some(&queue), "get", &[], Some(1)));
    drop(client);
    let other = Client::new(&served);
    other.call(&queue, "put", &[str("a")]).value();
    // Whether it was still waiting or away: nobody has it.
    assert!(other.call(&queue, "get", &[]).value().equals(&str("a")));
}

#[test]
fn a_session_that_nobody_knows_is_a_new_one() {
    let served = serve();
    let (_, said) = Client::ours(&served, &[("session", str("of another server"))]);
    assert!(!said["session"].equals(&str("of another server")));
}

#[test]
fn a_request_that_is_sent_again_is_carried_out_once() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let (client, said) = Client::ours(&served, &[]);
    let session = said["session"].clone();
    client.ask(&request(Some(&queue), "put", &[int(1)], Some(1))).value();
    drop(client);
    let (client, _) = Client::ours(&served, &[("session", session)]);
    assert!(matches!(
        client.ask(&request(Some(&queue), "put", &[int(1)], Some(1))).value(),
        Plain::None
    ));
    let size = client.ask(&request(Some(&queue), "qsize", &[], Some(2))).value();
    assert!(size.equals(&int(1)));
}

#[test]
fn a_wait_that_is_asked_for_again_is_answered_once() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let (client, said) = Client::ours(&served, &[]);
    let session = said["session"].clone();
    client.send(&request(Some(&queue), "get", &[], Some(1)));
    drop(client);
    let (client, _) = Client::ours(&served, &[("session", session)]);
    client.send(&request(Some(&queue), "get", &[], Some(1)));
    let other = Client::new(&served);
    for number in [1, 2] {
        other.call(&queue, "put", &[int(number)]).value();
    }
    assert!(client.receive().value().equals(&int(1)));
    let size = client.ask(&request(Some(&queue), "qsize", &[], Some(2))).value();
    assert!(size.equals(&int(1)));
}

#[test]
fn a_wait_that_was_given_up_is_over() {
    let served = serve();
    let queue = create(&served, "Queue", &[]);
    let (client, said) = Client::ours(&served, &[]);
    let session = said["session"].clone();
    client.send(&request(Some(&queue), "get", &[], Some(1)));
    drop(client);
    let given_up = ("given_up", Plain::Bool(true));
    let (client, _) = Client::ours(&served, &[("session", session), given_up]);
    client.ask(&request(Some(&queue), "put", &[int(1)], Some(2))).value();
    let size = client.ask(&request(Some(&queue), "qsize", &[], Some(3))).value();
    assert!(size.equals(&int(1)));
}
