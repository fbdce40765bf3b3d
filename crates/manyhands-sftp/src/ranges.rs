//! Several stretches of a file at once.

use std::collections::VecDeque;

use crate::client::Client;
use crate::errors::Error;
use crate::handle::Handle;
use crate::reads::{Plan, ReadAhead};

/// Stretches that are read at once.
const AT_ONCE: usize = 64;

/// The data of stretches of a file, in the order in which they were asked for.
#[derive(Debug)]
pub struct Ranges {
    plans: VecDeque<Plan>,
    reads: VecDeque<ReadAhead>,
    source: Handle,
}

impl Ranges {
    pub(crate) fn new(handle: &Handle, ranges: Vec<(u64, u64)>) -> Ranges {
        let chunk = handle.client().limits().read;
        let plan = |(offset, length): (u64, u64)| {
            let end = offset.saturating_add(length);
            Plan {
                offset,
                end: Some(end),
                size: end,
                first_chunk: chunk,
                chunk,
                first_window: 4,
                most: None,
            }
        };
        Ranges {
            plans: ranges.into_iter().map(plan).collect(),
            reads: VecDeque::new(),
            source: handle.lend(),
        }
    }

    /// The session, its gate and its limit that it uses from now on.
    pub fn use_client(&mut self, client: &Client) {
        self.source.use_client(client);
        for reads in &mut self.reads {
            reads.use_client(client);
        }
    }

    fn read_next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        while self.reads.len() < AT_ONCE {
            let Some(plan) = self.plans.pop_front() else { break };
            let mut reads = ReadAhead::new(&self.source, plan);
            reads.fill()?;
            self.reads.push_back(reads);
        }
        let Some(mut reads) = self.reads.pop_front() else { return Ok(None) };
        let mut data = Vec::new();
        while let Some(piece) = reads.next()? {
            data.extend_from_slice(&piece);
        }
        Ok(Some(data))
    }
}

impl Iterator for Ranges {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read_next();
        if next.is_err() {
            self.plans.clear();
            self.reads.clear();
        }
        next.transpose()
    }
}
