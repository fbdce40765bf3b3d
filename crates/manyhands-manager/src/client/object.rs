//! An object of a server's.

use std::sync::Arc;

use super::Shared;
use super::errors::CallError;
use super::request::{Content, Reference, Request};
use crate::pickle::Plain;

/// What a method returned.
#[derive(Debug)]
pub enum Answer {
    /// A value.
    Value(Plain),
    /// Another object that the server keeps.
    Object(Object),
}

/// An object that a server keeps for us until this is dropped.
#[derive(Debug)]
#[doc(alias = "multiprocessing.managers.BaseProxy")]
pub struct Object {
    shared: Arc<Shared>,
    reference: Reference,
    /// That of its link at which it was got.
    epoch: u64,
}

impl Object {
    pub(super) fn new(shared: Arc<Shared>, reference: Reference, epoch: u64) -> Object {
        Object { shared, reference, epoch }
    }

    /// By which the server knows it.
    pub fn ident(&self) -> &str {
        &self.reference.ident
    }

    /// The methods that may be called, as far as the server has told.
    pub fn methods(&self) -> &[String] {
        &self.reference.methods
    }

    /// Calls a method, and waits for what it returns.
    ///
    /// # Errors
    /// [`CallError::Raised`] if it raises an exception; [`CallError::NotPlain`] if it returns what is not of plain types;
    /// [`CallError::Lost`] if the server is.
    #[doc(alias = "multiprocessing.managers.BaseProxy._callmethod")]
    pub fn call(&self, method: &str, args: &[Plain]) -> Result<Plain, CallError> {
        match self.ask(method, args, &[])? {
            Answer::Value(value) => Ok(value),
            Answer::Object(_) => Err(CallError::NotPlain { method: method.to_owned() }),
        }
    }

    /// Calls a method with arguments by name, too; it may return another object of the server's.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub fn ask(
        &self,
        method: &str,
        args: &[Plain],
        kwargs: &[(&str, Plain)],
    ) -> Result<Answer, CallError> {
        let request = Request { ident: Some(self.ident()), method, args, kwargs };
        let (content, epoch) = self.shared.ask(&request, Some(self.epoch))?;
        Ok(match content {
            Content::Value(value) => Answer::Value(value),
            Content::Object(reference) => {
                Answer::Object(Object::new(Arc::clone(&self.shared), reference, epoch))
            }
        })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let ident = std::mem::take(&mut self.reference.ident);
        self.shared.left().push((ident, self.epoch));
        self.shared.let_go();
    }
}
