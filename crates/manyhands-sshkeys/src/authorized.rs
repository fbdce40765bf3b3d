use crate::{Error, PublicKey, pem};

/// A line of an `authorized_keys` or `.pub` file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizedKey {
    /// What stands in front of the type, as it is written: `no-pty,command="date"`.
    pub options: String,
    /// The key; of a certificate, the one that it is about.
    pub key: PublicKey,
    /// What stands behind it.
    pub comment: String,
}

impl AuthorizedKey {
    /// Reads a line; None if it is empty or a comment.
    ///
    /// # Errors
    /// [`Error::UnknownType`], or [`Error::Malformed`] if it is no such line.
    pub fn read(line: &str) -> Result<Option<Self>, Error> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        Self::fields("", line)
            .or_else(|error| {
                let end = end_of_options(line).ok_or(error)?;
                Self::fields(&line[..end], line[end..].trim_start())
            })
            .map(Some)
    }

    fn fields(options: &str, rest: &str) -> Result<Self, Error> {
        let mut fields = rest.splitn(3, [' ', '\t']);
        let name = fields.next().unwrap_or_default();
        let encoded = fields.next().ok_or(Error::Malformed("too few fields"))?;
        let blob = pem::decode(encoded.trim())?;
        if crate::wire::Reader::new(&blob).text()? != name {
            return Err(Error::Malformed("the type is another than the key's"));
        }
        Ok(AuthorizedKey {
            options: options.to_owned(),
            key: PublicKey::from_blob(&blob)?,
            comment: fields.next().unwrap_or_default().trim().to_owned(),
        })
    }
}

impl std::fmt::Display for AuthorizedKey {
    /// The line, without its end.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.options.is_empty() {
            write!(f, "{} ", self.options)?;
        }
        write!(f, "{} {}", self.key.name(), pem::encode(&self.key.to_blob()))?;
        if !self.comment.is_empty() {
            write!(f, " {}", self.comment)?;
        }
        Ok(())
    }
}

/// Where the first white space is that is not between quotation marks.
fn end_of_options(line: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    line.find(|character: char| {
        let ends = !quoted && character.is_ascii_whitespace();
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = character == '\\' && !escaped;
        ends
    })
}
