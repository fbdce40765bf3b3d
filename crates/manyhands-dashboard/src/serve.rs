//! The server: a page, its script and style, and the news.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;

const PAGE: &str = include_str!("../static/page.html");
const SCRIPT: &str = include_str!("../static/page.js");
const STYLE: &str = include_str!("../static/page.css");

/// Nothing from elsewhere, no script but ours.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type News = watch::Receiver<Arc<str>>;

#[derive(Clone)]
struct Shared {
    token: Option<Arc<str>>,
    news: News,
    viewers: Arc<AtomicUsize>,
}

/// While there is one, a browser has the page open.
struct Viewer(Arc<AtomicUsize>);

impl Viewer {
    fn new(viewers: &Arc<AtomicUsize>) -> Viewer {
        viewers.fetch_add(1, Ordering::Relaxed);
        Viewer(Arc::clone(viewers))
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) struct Server {
    runtime: Runtime,
    listener: tokio::net::TcpListener,
    shared: Shared,
}

#[derive(Deserialize)]
struct Given {
    token: Option<String>,
}

impl Server {
    pub(crate) fn new(
        listener: TcpListener,
        token: Option<String>,
        news: News,
        viewers: Arc<AtomicUsize>,
    ) -> io::Result<Server> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let shared = Shared { token: token.map(Arc::from), news, viewers };
        Ok(Server { runtime, listener, shared })
    }

    /// Serves until there will be no more news.
    pub(crate) fn run(self) {
        let Server { runtime, listener, shared } = self;
        let mut news = shared.news.clone();
        let over = async move { while news.changed().await.is_ok() {} };
        let guarded = Router::new()
            .route("/", get(async || Html(PAGE)))
            .route("/news", get(tell))
            .route("/now.json", get(now))
            .route_layer(middleware::from_fn_with_state(shared.clone(), check));
        let app = guarded
            .route("/page.js", get(async || ([(header::CONTENT_TYPE, "text/javascript")], SCRIPT)))
            .route("/page.css", get(async || ([(header::CONTENT_TYPE, "text/css")], STYLE)))
            .layer(middleware::from_fn(protect))
            .with_state(shared);
        runtime.block_on(async {
            tokio::select! {
                _ = axum::serve(listener, app) => {}
                () = over => {}
            }
        });
        runtime.shutdown_timeout(Duration::ZERO);
    }
}

/// Lets in only who has the token, or, where there is none, who asks for this machine by its name: the pages
/// of others may have had a name of theirs resolve to it.
async fn check(
    State(shared): State<Shared>,
    Query(given): Query<Given>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let is_let_in = match &shared.token {
        Some(token) => {
            let given = given.token.unwrap_or_default();
            bool::from(token.as_bytes().ct_eq(given.as_bytes()))
        }
        None => headers.get(header::HOST).is_some_and(|host| is_local(host.as_bytes())),
    };
    if is_let_in {
        next.run(request).await
    } else {
        let why = if shared.token.is_some() {
            "The address of this page has a token, which is missing or wrong.\n"
        } else {
            "This page answers only to localhost.\n"
        };
        (StatusCode::FORBIDDEN, why).into_response()
    }
}

fn is_local(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}

async fn tell(
    State(shared): State<Shared>,
) -> Sse<impl tokio_stream::Stream<Item = Result<Event, Infallible>>> {
    let viewer = Viewer::new(&shared.viewers);
    let news = WatchStream::new(shared.news).map(move |news| {
        let _ = &viewer;
        Ok(Event::default().data(&*news))
    });
    Sse::new(news).keep_alive(KeepAlive::default())
}

async fn now(State(shared): State<Shared>) -> Response {
    let now = shared.news.borrow().to_string();
    ([(header::CONTENT_TYPE, "application/json")], now).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn names_of_this_machine() {
        for host in
            ["localhost", "localhost:80", "127.0.0.1:8787", "127.1.2.3", "[::1]:80", "[::1]"]
        {
            assert!(is_local(host.as_bytes()), "{host}");
        }
        for host in
            ["", "example.com", "localhost.example.com:80", "10.0.0.1:80", "[::2]:80", "::x"]
        {
            assert!(!is_local(host.as_bytes()), "{host}");
        }
    }
}
