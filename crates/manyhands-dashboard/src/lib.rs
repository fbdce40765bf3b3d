//! A web page of what a Manyhands program does, live.
//!
//! [`Dashboard::bind`] takes an address; [`Dashboard::watch`] looks at a program once a second, as `manyhands
//! top` does, and tells all browsers that have the page open (server-sent events). What has ended stays to be
//! seen. An address that others can reach needs a token, which is part of the page's address; one of this
//! machine alone answers only to names of this machine, so that no page from elsewhere can ask it.

mod record;
mod serve;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use manyhands_watch::client;
use tokio::sync::watch;

use crate::record::Record;

/// How long from one look at the program to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long browsers have to take what was told last when the program has ended.
const FAREWELL: Duration = Duration::from_millis(300);

/// A page about a program.
#[derive(Debug)]
pub struct Dashboard {
    address: SocketAddr,
    token: Option<String>,
    listener: Option<TcpListener>,
    news: watch::Sender<Arc<str>>,
    viewers: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Dashboard {
    /// One at that address, `HOST:PORT`; the port 0 is any free one.
    ///
    /// # Errors
    /// It is no address, or somebody has it.
    pub fn bind(address: &str) -> io::Result<Dashboard> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let token = if address.ip().is_loopback() { None } else { Some(new_token()?) };
        let (news, _) = watch::channel(Arc::from("null"));
        Ok(Dashboard {
            address,
            token,
            listener: Some(listener),
            news,
            viewers: Arc::default(),
            is_over: Arc::default(),
            threads: Vec::new(),
        })
    }

    /// The address of the page.
    pub fn url(&self) -> String {
        let token = self.token.as_ref().map(|token| format!("?token={token}")).unwrap_or_default();
        format!("http://{}/{token}", self.address)
    }

    /// Shows that program, given a process of it, from now on.
    ///
    /// # Errors
    /// No threads; the limit of descriptors.
    pub fn watch(&mut self, pid: u32) -> io::Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let server = serve::Server::new(
            listener,
            self.token.clone(),
            self.news.subscribe(),
            Arc::clone(&self.viewers),
        )?;
        self.threads.push(named("manyhands-page", move || server.run())?);
        let (news, is_over) = (self.news.clone(), Arc::clone(&self.is_over));
        self.threads.push(named("manyhands-look", move || look(pid, &news, &is_over))?);
        Ok(())
    }

    /// Tells the browsers how the program has ended, and serves no more.
    pub fn end(mut self, how: &str) {
        self.is_over.store(true, Ordering::Release);
        let look = self.threads.pop();
        if let Some(look) = look {
            look.thread().unpark();
            let _ = look.join();
        }
        self.news.send_modify(|news| *news = record::ended(news, how));
        if self.viewers.load(Ordering::Relaxed) > 0 {
            std::thread::sleep(FAREWELL);
        }
        let Dashboard { news, threads, .. } = self;
        // Without a sender the server ends.
        drop(news);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn named(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

fn look(pid: u32, news: &watch::Sender<Arc<str>>, is_over: &AtomicBool) {
    let mut record = Record::default();
    while !is_over.load(Ordering::Acquire) {
        match client::tree(pid, true) {
            Ok(processes) => {
                let told = record.add(processes);
                news.send_replace(told);
            }
            // It will be told how.
            Err(client::Error::Gone(_)) => return,
            Err(error) => {
                news.send_replace(record::silent(&error.to_string()));
            }
        }
        std::thread::park_timeout(INTERVAL);
    }
}

fn new_token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
