//! What is open on the server.

use bytes::Bytes;

use crate::client::Client;

/// Something open on the server. Dropping it closes it, without waiting.
#[derive(Debug)]
pub struct Handle {
    client: Client,
    handle: Bytes,
    /// Whether this closes it. Not if it is closed, or another's.
    is_owner: bool,
}

impl Handle {
    pub(crate) fn new(client: Client, handle: Bytes) -> Handle {
        Handle { client, handle, is_owner: true }
    }

    /// The session that it belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The server's name for it.
    pub fn bytes(&self) -> Bytes {
        self.handle.clone()
    }

    pub(crate) fn into_parts(mut self) -> (Client, Bytes) {
        self.is_owner = false;
        (self.client.clone(), self.handle.clone())
    }

    /// The same, for one who does not close it.
    pub(crate) fn lend(&self) -> Handle {
        Handle { client: self.client.clone(), handle: self.handle.clone(), is_owner: false }
    }

    pub(crate) fn use_client(&mut self, client: &Client) {
        self.client = client.clone();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_owner {
            self.client.release(self.handle.clone());
        }
    }
}
