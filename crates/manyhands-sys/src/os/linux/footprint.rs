//! /proc/self/maps, /proc/self/pagemap, madvise(2).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;
use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

use crate::footprint::Stretch;

/// Bits of an entry of pagemap: the page is mapped here and nowhere else; it is a file's; it is there.
const EXCLUSIVE: u64 = 1 << 56;
const OF_FILE: u64 = 1 << 61;
const PRESENT: u64 = 1 << 63;

/// More is address space that is kept for something, and takes long to look through.
const LARGEST: usize = 64 << 20;

/// Enough for most processes, and so much that it does not come from the memory that is looked at.
const ROOM: usize = 256 << 10;

pub(crate) fn touched_memory() -> io::Result<Vec<Stretch>> {
    let mut maps = Vec::with_capacity(ROOM);
    File::open("/proc/self/maps")?.read_to_end(&mut maps)?;
    let pages = File::open("/proc/self/pagemap")?;
    let mut stretches: Vec<Stretch> = Vec::with_capacity(ROOM / size_of::<Stretch>());
    let mut entries = vec![0; ROOM];
    for line in maps.split(|&byte| byte == b'\n') {
        let Some((begin, end, writable)) = parse(line) else { continue };
        let size = page_size();
        let count = (end - begin) / size;
        if end - begin > LARGEST {
            continue;
        }
        entries.resize(entries.len().max(count * 8), 0);
        let Some(entries) = entries.get_mut(..count * 8) else { continue };
        pages.read_exact_at(entries, (begin / size) as u64 * 8)?;
        for (page, entry) in entries.as_chunks::<8>().0.iter().enumerate() {
            let Some(written) = touched(u64::from_ne_bytes(*entry), writable) else { continue };
            let begin = begin + page * size;
            match stretches.last_mut() {
                Some(last) if last.begin + last.len == begin && last.written == written => {
                    last.len += size;
                }
                _ => stretches.push(Stretch { begin, len: size, written }),
            }
        }
    }
    Ok(stretches)
}

/// The bounds of a private mapping of memory, and whether it may be written to.
fn parse(line: &[u8]) -> Option<(usize, usize, bool)> {
    // begin-end access offset device inode path
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (begin, end) = fields.next()?.split_once('-')?;
    let access = fields.next()?.as_bytes();
    let is_system_s = fields.nth(3).is_some_and(|path| path.starts_with("[v"));
    if access.first() != Some(&b'r') || access.get(3) != Some(&b'p') || is_system_s {
        return None;
    }
    let begin = usize::from_str_radix(begin, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some((begin, end, access.get(1) == Some(&b'w')))
}

/// Whether the page was written to, if this process has touched it.
fn touched(entry: u64, writable: bool) -> Option<bool> {
    match entry {
        _ if entry & PRESENT == 0 => None,
        _ if entry & OF_FILE != 0 => Some(false),
        _ => (writable && entry & EXCLUSIVE != 0).then_some(true),
    }
}

/// How much of a file the system maps at once where one page of it is read. Only a guess costs time.
const AROUND: usize = 64 << 10;

/// False if the system cannot do such things.
pub(crate) fn touch_memory(stretch: &Stretch) -> bool {
    let end = stretch.begin + stretch.len;
    if stretch.written {
        return populate(stretch.begin, end, Advice::LinuxPopulateWrite);
    }
    // To ask for each page takes longer than to have it mapped with others.
    let next = |begin: &usize| Some((begin / AROUND + 1) * AROUND).filter(|next| *next < end);
    std::iter::successors(Some(stretch.begin), next)
        .all(|begin| populate(begin, begin + page_size(), Advice::LinuxPopulateRead))
}

/// False if the system cannot do so at all.
fn populate(begin: usize, end: usize, advice: Advice) -> bool {
    let place = std::ptr::with_exposed_provenance_mut(begin);
    // SAFETY: it faults pages in as an access would, which changes no contents and frees nothing;
    // addresses of nothing are an error.
    unsafe { madvise(place, end - begin, advice) != Err(Errno::INVAL) }
}
