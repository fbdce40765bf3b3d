//! Finds the proxies in a message: what refers to an object of a server.

use super::Message;
use super::node::Kind;
use super::scan::Item;

/// The function by which proxies are unpickled, in whatever module.
const REBUILD: &str = "RebuildProxy";

impl Message {
    /// The identities of the objects whose proxies are in this message.
    pub fn proxies(&self) -> Vec<&str> {
        let is_rebuilder = |item: Item<'_>| item.global().is_some_and(|(_, name)| name == REBUILD);
        let mut found = Vec::new();
        // Hardly any message has one.
        let named = |kind| matches!(kind, Kind::StackNamed | Kind::Named);
        let mut items = (0..).zip(&self.nodes).map(|(node, entry)| (entry.kind, node));
        if !items.any(|(kind, node)| named(kind) && is_rebuilder(Item { message: self, node })) {
            return found;
        }
        for node in (0..).take(self.nodes.len()) {
            let item = Item { message: self, node };
            if let Some((callable, arguments, _)) = item.reduced()
                && is_rebuilder(callable)
                && let Some(token) = arguments.tuple_members().and_then(|mut all| all.nth(1))
                && let Some((_, arguments, state)) = token.reduced()
                && let Some(parts) = state.unwrap_or(arguments).tuple_members()
                && let Some(ident) = parts.last().and_then(Item::str)
            {
                found.push(ident);
            }
        }
        found
    }
}

impl<'a> Item<'a> {
    /// The message that it is a part of.
    pub fn message(self) -> &'a Message {
        self.message
    }
}
