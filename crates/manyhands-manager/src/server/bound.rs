//! Servers for Rust programs: at an address, with the usual types, and objects made of plain values.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use manyhands_wire::{Address, Listener};

use super::{NotShared, Server, Settings, Type};
use crate::objects;
use crate::pickle::{Plain, Writer};

impl Type {
    /// The objects of a kind (see [`objects::make`]), with the [usual methods](objects::methods).
    pub fn of(kind: &str) -> Type {
        let exposed = objects::methods(kind).iter().map(|&name| name.to_owned()).collect();
        Type { kind: kind.to_owned(), exposed }
    }
}

impl Server {
    /// A server at an address, for those who know the key. It makes objects of the usual types ("Queue", "list", "dict",
    /// "Lock"...) for them, and [`share_plain`](Self::share_plain) gives them some by name.
    ///
    /// ```
    /// use manyhands_manager::server::Server;
    /// use manyhands_wire::Address;
    ///
    /// let server = Server::bind(&Address::localhost(), b"a key")?;
    /// server.share_plain("tasks", "Queue", &[], &[])?;
    /// Server::start(&server)?;
    /// println!("serving at {:?}", server.address());
    /// server.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of bind(2), listen(2), epoll_create(2).
    pub fn bind(address: &Address, key: &[u8]) -> io::Result<Arc<Server>> {
        let place = Listener::bind(address, None)?;
        let types = objects::KINDS.map(|kind| (kind.to_owned(), Type::of(kind)));
        let listener = place.as_fd().try_clone_to_owned()?;
        let mut server = Server::new(listener, Settings::new(key), types.into(), None)?;
        server.place = Some(place);
        Ok(Arc::new(server))
    }

    /// Where it listens, if it was made by [`bind`](Self::bind): the port is the real one.
    pub fn address(&self) -> Option<&Address> {
        self.place.as_ref().map(Listener::address)
    }

    /// As [`share`](Self::share), with the usual methods, and arguments of plain types.
    ///
    /// # Errors
    /// If there is no such kind, or it cannot be made of these arguments.
    pub fn share_plain(
        &self,
        name: &str,
        kind: &str,
        args: &[Plain],
        kwargs: &[(&str, Plain)],
    ) -> Result<(), NotShared> {
        let mut writer = Writer::new();
        writer.tuple(|writer| {
            writer.tuple(|writer| args.iter().for_each(|argument| writer.plain(argument)));
            writer.dict(|writer| {
                for (name, value) in kwargs {
                    writer.str(name);
                    writer.plain(value);
                }
            });
        });
        self.share(name, Type::of(kind), &writer.finish().concat())
    }
}
