//! OpenSSL's old way to encrypt a block of PEM: `DEK-Info`, a key from MD5.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use des::{Des, TdesEde3};
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::Error;
use crate::pem::Block;

/// The content of a block, decrypted if it is encrypted.
pub(crate) fn content(
    block: &Block,
    passphrase: Option<&[u8]>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    match block.header("proc-type") {
        None => return Ok(Zeroizing::new(block.content.clone())),
        Some("4,ENCRYPTED") => {}
        Some(_) => return Err(Error::Malformed("unknown private key structure")),
    }
    let (cipher, iv) = block
        .header("dek-info")
        .and_then(|info| info.split_once(','))
        .ok_or(Error::Malformed("can't parse DEK-Info in private key file"))?;
    let iv = unhex(iv.trim()).ok_or(Error::Malformed("the salt in DEK-Info is no number"))?;
    let cipher = cipher.trim();
    let size = key_size(cipher).ok_or_else(|| Error::UnknownCipher(cipher.to_owned()))?;
    let passphrase = passphrase.ok_or(Error::Encrypted)?;
    let key = derive(passphrase, &iv, size)?;
    let plain = match cipher {
        "DES-EDE3-CBC" => decrypt::<cbc::Decryptor<TdesEde3>>(&key, &iv, &block.content),
        "DES-CBC" => decrypt::<cbc::Decryptor<Des>>(&key, &iv, &block.content),
        "AES-128-CBC" => decrypt::<cbc::Decryptor<Aes128>>(&key, &iv, &block.content),
        "AES-192-CBC" => decrypt::<cbc::Decryptor<Aes192>>(&key, &iv, &block.content),
        _ => decrypt::<cbc::Decryptor<Aes256>>(&key, &iv, &block.content),
    };
    plain.map(Zeroizing::new).ok_or(Error::WrongPassphrase)
}

/// Encrypts with AES-256: the headers and the content of a block.
pub(crate) fn encrypt(plain: &[u8], passphrase: &[u8]) -> Result<(Vec<String>, Vec<u8>), Error> {
    let iv: [u8; 16] = rand::random();
    let key = derive(passphrase, &iv, 32)?;
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(&key, &iv)
        .map_err(|_| Error::Malformed("the key's size"))?;
    let salt: String = iv.iter().map(|byte| format!("{byte:02X}")).collect();
    let headers =
        vec!["Proc-Type: 4,ENCRYPTED".to_owned(), format!("DEK-Info: AES-256-CBC,{salt}")];
    Ok((headers, cipher.encrypt_padded_vec::<Pkcs7>(plain)))
}

fn key_size(cipher: &str) -> Option<usize> {
    Some(match cipher {
        "DES-CBC" => 8,
        "AES-128-CBC" => 16,
        "DES-EDE3-CBC" | "AES-192-CBC" => 24,
        "AES-256-CBC" => 32,
        _ => return None,
    })
}

fn decrypt<C: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    encrypted: &[u8],
) -> Option<Vec<u8>> {
    let cipher = C::new_from_slices(key, iv).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(encrypted).ok()
}

/// Bytes of a key: MD5 over what there is already, the passphrase and half of the salt.
fn derive(passphrase: &[u8], iv: &[u8], size: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let salt = iv.get(..8).ok_or(Error::Malformed("the salt in DEK-Info is too short"))?;
    let mut key = Zeroizing::new(Vec::with_capacity(size + 16));
    let mut last: Vec<u8> = Vec::new();
    while key.len() < size {
        let digest = Md5::new().chain_update(&last).chain_update(passphrase).chain_update(salt);
        last = digest.finalize().to_vec();
        key.extend_from_slice(&last);
    }
    key.truncate(size);
    Ok(key)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
