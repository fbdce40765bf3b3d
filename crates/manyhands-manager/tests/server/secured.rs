//! Connections by TLS, and what is no such connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use manyhands_manager::pickle::Plain;
use manyhands_manager::server::{BadIdentity, Identity, Settings};
use manyhands_wire::Address;
use manyhands_wire::authentication::{self as auth, CHALLENGE, Digest, WELCOME};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::common::{Answer, KEY, PATIENCE, Served, int, request, serve_with, settings, str};

/// A server by TLS, and the certificate that it shows.
fn serve() -> (Served, CertificateDer<'static>) {
    secured(Settings { handshake: 2 * PATIENCE, ..settings() })
}

/// One that hangs up on who is slow. Others have to be done sooner, also on a machine that is busy.
fn serve_impatiently() -> (Served, CertificateDer<'static>) {
    secured(Settings { handshake: Duration::from_secs(2), ..settings() })
}

fn secured(settings: Settings) -> (Served, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["server".to_owned()]).expect("is made");
    let key = made.signing_key.serialize_pem();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).expect("is good");
    let served = serve_with(Settings { identity: Some(identity), ..settings });
    (served, made.cert.der().clone())
}

fn stream(served: &Served) -> TcpStream {
    let Address::Tcp(address) = served.address else { panic!("no TCP") };
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("can be set");
    stream.set_write_timeout(Some(PATIENCE)).expect("can be set");
    stream
}

/// The client's end of a connection, of which nothing was said yet.
fn secure(certificate: &CertificateDer<'static>) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("is a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("are there")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("server").expect("is a name");
    ClientConnection::new(Arc::new(config), name).expect("is made")
}

struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Client {
    /// Connects without taking a seat.
    fn connect(served: &Served, certificate: &CertificateDer<'static>) -> Client {
        let stream = StreamOwned::new(secure(certificate), stream(served));
        let mut client = Client { stream };
        let challenge = client.receive();
        let challenge = auth::read_challenge(&challenge).expect("is a challenge");
        client.send(&auth::create_response(KEY, challenge).expect("is a response"));
        assert_eq!(client.receive(), WELCOME);
        let challenge = auth::challenge(Digest::Sha256).expect("is made");
        client.send(&[CHALLENGE, &challenge].concat());
        auth::verify_response(KEY, &challenge, &client.receive()).expect("it knows the key");
        client.send(WELCOME);
        client
    }

    fn new(served: &Served, certificate: &CertificateDer<'static>) -> Client {
        let mut client = Client::connect(served, certificate);
        let seat = request(None, "accept_connection", &[str("a thread")], None);
        assert!(matches!(client.ask(&seat).value(), Plain::None));
        client
    }

    fn send(&mut self, message: &[u8]) {
        let header = u32::try_from(message.len()).expect("is short").to_be_bytes();
        self.stream.write_all(&header).expect("sends");
        self.stream.write_all(message).expect("sends");
        self.stream.flush().expect("sends");
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).expect("an answer comes");
        let mut message = vec![0; u32::from_be_bytes(header) as usize];
        self.stream.read_exact(&mut message).expect("all of it comes");
        message
    }

    fn ask(&mut self, message: &[u8]) -> Answer {
        self.send(message);
        Answer::of(self.receive())
    }

    fn call(&mut self, ident: &str, method: &str, args: &[Plain]) -> Answer {
        self.ask(&request(Some(ident), method, args, None))
    }
}

fn create(served: &Served, certificate: &CertificateDer<'static>, typeid: &str) -> String {
    let made = request(None, "create", &[str(typeid)], None);
    let answer = Client::connect(served, certificate).ask(&made).value();
    let Plain::Tuple(parts) = answer else { panic!("no tuple") };
    match parts.first() {
        Some(Plain::Str(ident)) => ident.to_string(),
        other => panic!("no identity: {other:?}"),
    }
}

fn still_serves(served: &Served, certificate: &CertificateDer<'static>) {
    let list = create(served, certificate, "list");
    let answer = Client::new(served, certificate).call(&list, "__len__", &[]);
    assert!(answer.value().equals(&int(0)));
}

/// Everything until the server hangs up.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it does not"),
        // It may hang up with something of ours unread, which is an error of its own kind.
        _ => bytes,
    }
}

/// The first bytes of a client by TLS.
fn hello(certificate: &CertificateDer<'static>) -> Vec<u8> {
    let mut bytes = Vec::new();
    secure(certificate).write_tls(&mut bytes).expect("says something");
    bytes
}

#[test]
fn objects_are_served() {
    let (served, certificate) = serve();
    let list = create(&served, &certificate, "list");
    let mut client = Client::new(&served, &certificate);
    client.call(&list, "append", &[int(5)]).value();
    assert!(client.call(&list, "__getitem__", &[int(0)]).value().equals(&int(5)));
}

#[test]
fn a_call_that_waits_is_answered() {
    let (served, certificate) = serve();
    let queue = create(&served, &certificate, "Queue");
    let mut taker = Client::new(&served, &certificate);
    taker.send(&request(Some(&queue), "get", &[], None));
    Client::new(&served, &certificate).call(&queue, "put", &[int(1)]).value();
    assert!(Answer::of(taker.receive()).value().equals(&int(1)));
}

#[test]
fn large_messages_go_both_ways() {
    let (served, certificate) = serve();
    let list = create(&served, &certificate, "list");
    let mut client = Client::new(&served, &certificate);
    let bytes: Vec<u8> = (0..6 << 20).map(|number: u32| (number % 251) as u8).collect();
    client.call(&list, "append", &[Plain::Bytes(bytes.clone().into())]).value();
    for _ in 0..2 {
        let answer = client.call(&list, "__getitem__", &[int(0)]).value();
        assert!(answer.equals(&Plain::Bytes(bytes.clone().into())));
    }
}

#[test]
fn bytes_that_come_one_by_one_are_enough() {
    let (served, certificate) = serve();
    let mut stream = stream(&served);
    let mut secured = secure(&certificate);
    while secured.is_handshaking() || secured.wants_write() {
        let mut bytes = Vec::new();
        while secured.wants_write() {
            secured.write_tls(&mut bytes).expect("says something");
        }
        for byte in bytes {
            stream.write_all(&[byte]).expect("sends");
        }
        if secured.is_handshaking() {
            assert_ne!(secured.read_tls(&mut stream).expect("an answer comes"), 0);
            secured.process_new_packets().expect("makes sense");
        }
    }
    let mut header = [0; 4];
    StreamOwned::new(secured, stream).read_exact(&mut header).expect("the challenge comes");
    still_serves(&served, &certificate);
}

#[test]
fn what_is_no_tls_is_hung_up_on() {
    let (served, certificate) = serve();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 100], &[0x16; 70_000], &[0xff; 5]] {
        let mut stream = stream(&served);
        // It may be gone before it has read all of that.
        let _ = stream.write_all(nonsense);
        assert!(!rest(stream).windows(11).any(|said| said == CHALLENGE));
    }
    still_serves(&served, &certificate);
}

#[test]
fn who_does_not_get_on_with_the_handshake_is_hung_up_on() {
    let (served, certificate) = serve_impatiently();
    let hello = hello(&certificate);
    let lengths = [0, 1, 5, hello.len() / 2, hello.len() - 1, hello.len()];
    let streams = lengths.map(|length| {
        let mut stream = stream(&served);
        stream.write_all(&hello[..length]).expect("sends");
        (length, stream)
    });
    for (length, stream) in streams {
        // Only a whole one is answered.
        assert_eq!(rest(stream).is_empty(), length < hello.len(), "{length}");
    }
    still_serves(&served, &certificate);
}

#[test]
fn a_connection_cut_in_the_middle_of_a_record_harms_nobody() {
    let (served, certificate) = serve();
    let list = create(&served, &certificate, "list");
    let mut client = Client::new(&served, &certificate);
    let appended = request(Some(&list), "append", &[Plain::Bytes(vec![0; 10_000].into())], None);
    let StreamOwned { conn, sock } = &mut client.stream;
    let mut bytes = Vec::new();
    conn.writer().write_all(&(appended.len() as u32).to_be_bytes()).expect("takes it");
    conn.writer().write_all(&appended).expect("takes it");
    while conn.wants_write() {
        conn.write_tls(&mut bytes).expect("says something");
    }
    sock.write_all(&bytes[..bytes.len() - 100]).expect("sends");
    sock.shutdown(Shutdown::Write).expect("is open");
    assert_eq!(rest(sock.try_clone().expect("is open")), b"");
    let mut client = Client::new(&served, &certificate);
    assert!(client.call(&list, "__len__", &[]).value().equals(&int(0)));
}

#[test]
fn a_changed_record_ends_the_connection() {
    let (served, certificate) = serve();
    let list = create(&served, &certificate, "list");
    let mut client = Client::new(&served, &certificate);
    let appended = request(Some(&list), "append", &[int(1)], None);
    let StreamOwned { conn, sock } = &mut client.stream;
    let mut bytes = Vec::new();
    conn.writer().write_all(&(appended.len() as u32).to_be_bytes()).expect("takes it");
    conn.writer().write_all(&appended).expect("takes it");
    while conn.wants_write() {
        conn.write_tls(&mut bytes).expect("says something");
    }
    *bytes.last_mut().expect("is not empty") ^= 1;
    sock.write_all(&bytes).expect("sends");
    rest(sock.try_clone().expect("is open"));
    let mut client = Client::new(&served, &certificate);
    assert!(client.call(&list, "__len__", &[]).value().equals(&int(0)));
}

#[test]
fn what_is_no_identity_is_refused() {
    let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).expect("is made");
    let (one, other) = (made("one"), made("other"));
    let (certificate, key) = (one.cert.pem(), one.signing_key.serialize_pem());
    let refused = |certificate: &str, key: &str| {
        Identity::from_pem(certificate.as_bytes(), key.as_bytes()).expect_err("is refused")
    };
    assert!(matches!(refused("", &key), BadIdentity::NoCertificate));
    assert!(matches!(refused(&certificate, ""), BadIdentity::Key(_)));
    assert!(matches!(refused(&certificate, &certificate), BadIdentity::Key(_)));
    let other = other.signing_key.serialize_pem();
    assert!(matches!(refused(&certificate, &other), BadIdentity::Useless(_)));
}
