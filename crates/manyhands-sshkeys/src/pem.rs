//! Text around base64: what begins with `-----BEGIN`.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::general_purpose::STANDARD};

use crate::Error;

/// Takes base64 whether or not it is filled up at its end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes that base64 stands for.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Error> {
    LENIENT.decode(text).map_err(|_| Error::Malformed("base64 decoding error"))
}

/// Bytes as base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// One block, with what is between its headers and its end.
pub(crate) struct Block {
    pub(crate) label: String,
    headers: Vec<(String, String)>,
    pub(crate) content: Vec<u8>,
}

impl Block {
    /// The first block that is a private key, whatever stands before and after it.
    ///
    /// A missing end is none if the content stands for itself.
    pub(crate) fn private_key(text: &[u8]) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines().map(str::trim);
        let label = lines
            .by_ref()
            .filter_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
            .find(|label| label.ends_with("PRIVATE KEY"))
            .ok_or(Error::NoKey)?
            .to_owned();
        let mut headers = Vec::new();
        let mut encoded = String::new();
        for line in lines.take_while(|line| !line.starts_with("-----END ")) {
            match line.split_once(':') {
                Some((name, value)) if encoded.is_empty() => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                _ => encoded.push_str(line),
            }
        }
        if encoded.is_empty() {
            return Err(Error::NoKey);
        }
        Ok(Block { label, headers, content: decode(&encoded)? })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name)?;
        Some(&found.1)
    }
}

/// A block as text.
pub(crate) fn write(label: &str, headers: &[String], content: &[u8], width: usize) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for header in headers {
        text.push_str(header);
        text.push('\n');
    }
    if !headers.is_empty() {
        text.push('\n');
    }
    for (at, character) in encode(content).chars().enumerate() {
        if at > 0 && at % width == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}
