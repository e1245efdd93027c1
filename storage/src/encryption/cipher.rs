//! The cipher of one file.

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};

use super::KEY_BYTES;
use crate::coding::Malformed;

/// Bytes of the tag behind every ciphertext.
pub const TAG_BYTES: usize = 16;
/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 12;
/// Bytes of a wrapped key in a file: nonce, key, tag, CRC32C.
pub const KEY_BLOCK_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES + 4;

/// Encrypts and decrypts with one key.
#[derive(Clone)]
pub struct FileCipher {
    gcm: Aes256Gcm,
}

impl fmt::Debug for FileCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileCipher")
    }
}

/// The nonce of what begins at `place` of a file: the offset, then zeros.
fn nonce_of(place: u64) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce.iter_mut().zip(place.to_le_bytes()).for_each(|(slot, byte)| *slot = byte);
    nonce
}

impl FileCipher {
    /// With `key`.
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> FileCipher {
        FileCipher { gcm: Aes256Gcm::new(key.into()) }
    }

    /// Encrypts the bytes of `out` from `start` on, in place, and appends the tag. `place` is the offset in the file at
    /// which what they belong to begins; the file never has anything else there. `associated` is not encrypted, but
    /// decrypting with another fails.
    pub fn encrypt(
        &self,
        place: u64,
        associated: &[u8],
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), Malformed> {
        self.encrypt_with(&nonce_of(place), associated, out, start)
    }

    pub(super) fn encrypt_with(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), Malformed> {
        let too_long = Malformed("more than can be encrypted at once");
        let bytes = out.get_mut(start..).ok_or(too_long)?;
        let tag = self.gcm.encrypt_inout_detached(nonce.into(), associated, bytes.into());
        out.extend_from_slice(&tag.map_err(|_| too_long)?);
        Ok(())
    }

    /// Undoes `encrypt`: `bytes` is what it made, and becomes what it was given.
    pub fn decrypt(&self, place: u64, associated: &[u8], bytes: &mut Vec<u8>) -> Result<(), Malformed> {
        self.decrypt_with(&nonce_of(place), associated, bytes)
    }

    pub(super) fn decrypt_with(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        bytes: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let wrong = Malformed("it does not decrypt: changed, moved, or of another file");
        let length = bytes.len().checked_sub(TAG_BYTES).ok_or(wrong)?;
        let (body, tag) = bytes.split_at_mut_checked(length).ok_or(wrong)?;
        let tag: [u8; TAG_BYTES] = (&*tag).try_into().map_err(|_| wrong)?;
        let opened = self.gcm.decrypt_inout_detached(nonce.into(), associated, body.into(), (&tag).into());
        opened.map_err(|_| wrong)?;
        bytes.truncate(length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer the GCM specification's authors publish for AES-256, an all-zero key and nonce and one zero block.
    #[test]
    fn the_published_answer_comes_out() {
        let mut bytes = vec![0; 16];
        FileCipher::new(&[0; 32]).encrypt(0, &[], &mut bytes, 0).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    }

    #[test]
    fn any_change_of_bytes_place_key_or_association_is_refused() {
        let cipher = FileCipher::new(&[7; 32]);
        let mut sealed = b"before".to_vec();
        sealed.extend_from_slice(b"a sheaf of documents");
        cipher.encrypt(4096, b"type", &mut sealed, 6).unwrap();
        assert!(sealed.starts_with(b"before"));
        let sealed = sealed.split_off(6);
        let open = |cipher: &FileCipher, place, associated: &[u8], bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            cipher.decrypt(place, associated, &mut bytes).map(|()| bytes)
        };
        assert_eq!(open(&cipher, 4096, b"type", &sealed).unwrap(), b"a sheaf of documents");
        assert!(open(&cipher, 4097, b"type", &sealed).is_err());
        assert!(open(&cipher, 4096, b"kind", &sealed).is_err());
        assert!(open(&FileCipher::new(&[8; 32]), 4096, b"type", &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&cipher, 4096, b"type", &damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&cipher, 4096, b"type", &sealed[..length]).is_err());
        }
    }

    #[test]
    fn no_two_places_of_a_file_are_encrypted_alike_however_far_apart() {
        let cipher = FileCipher::new(&[3; KEY_BYTES]);
        let places = (0..64).map(|bit| 1_u64 << bit).chain([0, u64::MAX]);
        let sealed = places.map(|place| {
            let mut bytes = b"the same everywhere".to_vec();
            cipher.encrypt(place, &[], &mut bytes, 0).unwrap();
            bytes
        });
        let sealed: std::collections::BTreeSet<Vec<u8>> = sealed.collect();
        assert_eq!(sealed.len(), 66);
    }
}
