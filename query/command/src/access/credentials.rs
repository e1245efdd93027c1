//! What is kept of a password: SCRAM-SHA-256 credentials (RFC 5802, RFC 7677), as MongoDB stores them.
//!
//! The password is prepared by SASLprep (RFC 4013), salted and stretched by PBKDF2. Kept are the salt, the count of
//! iterations, the hash of the client's key and the server's key, each in base64: from these a server can tell whether
//! a client knows the password, and nobody can tell the password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sheaf_document::{DocumentBuilder, RawDocumentBuf};
use sheaf_engine::{Error, Result};

use crate::arguments::BAD_VALUE;

/// The mechanism.
pub(crate) const MECHANISM: &str = "SCRAM-SHA-256";

/// Rounds of stretching: MongoDB's default, which a guesser pays for every guess.
const ITERATIONS: u32 = 15_000;

/// Bytes of salt, as in MongoDB.
pub(crate) const SALT_BYTES: usize = 28;

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: usize = 4_096;

type Prf = Hmac<Sha256>;

/// `{"SCRAM-SHA-256": {iterationCount, salt, storedKey, serverKey}}` of a password.
pub(crate) fn of_password(password: &str, salt: [u8; SALT_BYTES]) -> Result<RawDocumentBuf> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::new(
            BAD_VALUE,
            format!("a password has from 1 to {PASSWORD_BYTES_MAX} bytes, not {}", password.len()),
        ));
    }
    let prepared = stringprep::saslprep(password)
        .map_err(|_| Error::new(BAD_VALUE, "the password has characters that no password may have"))?;
    let keys = keys(prepared.as_bytes(), &salt, ITERATIONS)?;
    let mut out = DocumentBuilder::new();
    out.document(MECHANISM, |own| {
        own.append("iterationCount", i32::try_from(ITERATIONS).unwrap_or(i32::MAX));
        own.append("salt", STANDARD.encode(salt));
        own.append("storedKey", STANDARD.encode(keys.stored));
        own.append("serverKey", STANDARD.encode(keys.server));
    });
    Ok(out.build())
}

struct Keys {
    /// The hash of the client's key.
    stored: [u8; 32],
    /// The server's key.
    server: [u8; 32],
}

fn keys(password: &[u8], salt: &[u8], iterations: u32) -> Result<Keys> {
    let mut salted = [0u8; 32];
    pbkdf2::pbkdf2::<Prf>(password, salt, iterations, &mut salted).map_err(failed)?;
    let client = keyed(&salted, b"Client Key")?;
    Ok(Keys { stored: Sha256::digest(client).into(), server: keyed(&salted, b"Server Key")? })
}

fn keyed(key: &[u8], message: &[u8]) -> Result<[u8; 32]> {
    let mut mac = Prf::new_from_slice(key).map_err(failed)?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().into())
}

/// A key of any length is accepted, so this is a defect.
fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(sheaf_engine::error_code::INTERNAL_ERROR, format!("cannot compute credentials: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange that RFC 7677 shows: user "user", password "pencil".
    #[test]
    fn keys_are_those_of_the_standard() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let keys = keys(b"pencil", &salt, 4096).expect("computed");
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let message = format!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
        );
        let signature = keyed(&keys.server, message.as_bytes()).expect("computed");
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let client_signature = keyed(&keys.stored, message.as_bytes()).expect("computed");
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").expect("base64");
        let client_key: Vec<u8> =
            proof.iter().zip(client_signature).map(|(proof, signature)| proof ^ signature).collect();
        assert_eq!(<[u8; 32]>::from(Sha256::digest(client_key)), keys.stored);
    }

    #[test]
    fn an_empty_password_is_refused() {
        assert!(of_password("", [0; SALT_BYTES]).is_err());
        assert!(of_password("\u{7}", [0; SALT_BYTES]).is_err());
    }
}
