//! Wire contracts of SheafDB: the `sheaf.v1` messages, clients and services, and no logic.
//!
//! The contracts are the `.proto` files under `sheaf/`; the code is generated at build time. Document fields are
//! [`bytes::Bytes`], so that a stored document is passed on without a copy on the receiving side.

/// Version 1 of the public contract.
pub mod v1 {
    #![allow(missing_docs, reason = "generated; the comments of the contract are the documentation")]
    #![allow(clippy::all, clippy::pedantic, reason = "generated")]

    tonic::include_proto!("sheaf.v1");
}

/// The contracts as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("sheaf_descriptor");
