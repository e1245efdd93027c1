//! `dbHash`: a hash of every collection, to tell whether two servers hold the same.

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};
use sheaf_engine::operation::{CollectionKind, FindOperation};
use sheaf_engine::{Namespace, Result};

use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let wanted: Option<Vec<&str>> = match arguments.value("collections") {
        Some(ValueRef::Array(names)) if !names.is_empty() => {
            Some(names.iter().filter_map(ValueRef::as_str).collect())
        }
        _ => None,
    };
    let mut hashes = Vec::new();
    let mut capped = Vec::new();
    for info in request.session.engine().list_collections(request.database)? {
        if info.kind != CollectionKind::Collection
            || wanted.as_ref().is_some_and(|wanted| !wanted.contains(&info.name.as_str()))
        {
            continue;
        }
        if matches!(info.options.as_raw().get("capped"), Some(ValueRef::Boolean(true))) {
            capped.push(Value::from(info.name.clone()));
        }
        let hash = hash_collection(request, &Namespace::new(request.database, &info.name)?)?;
        hashes.push((info.name, hash, info.uuid));
    }
    hashes.sort_by(|left, right| left.0.cmp(&right.0));
    let mut all = Fingerprint::default();
    let mut body = DocumentBuilder::new();
    body.append("host", request.commands().identity().address.as_str());
    body.document("collections", |collections| {
        for (name, hash, _) in &hashes {
            all.add(name.as_bytes());
            all.add(hash.as_bytes());
            collections.append(name, hash.as_str());
        }
    });
    body.append("capped", capped);
    body.document("uuids", |uuids| {
        for (name, _, uuid) in &hashes {
            if let Some(uuid) = uuid {
                uuids.append_value(name, &Value::Binary { subtype: 4, bytes: uuid.to_vec().into() });
            }
        }
    });
    body.append("md5", all.to_hex()).append("timeMillis", 0);
    Ok(body)
}

fn hash_collection(request: &Request<'_>, namespace: &Namespace) -> Result<String> {
    let mut order = DocumentBuilder::new();
    order.append("_id", 1);
    let order = order.build();
    let mut operation = FindOperation::new(namespace.clone(), RawDocument::EMPTY);
    operation.sort = Some(order.as_raw());
    let mut cursor = request.session.engine().find(&operation)?;
    let mut hash = Fingerprint::default();
    while !cursor.is_exhausted() {
        for document in cursor.next_batch(1000, sheaf_document::DOCUMENT_BYTES_MAX)?.documents {
            hash.add(document.as_bytes());
        }
    }
    Ok(hash.to_hex())
}

/// A fingerprint of 128 bits (FNV-1a). The field is called `md5` by clients, who only compare it.
struct Fingerprint(u128);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Fingerprint {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u128::from(*byte);
            self.0 = self.0.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    fn to_hex(&self) -> String {
        format!("{:032x}", self.0)
    }
}
