//! Compiles the contracts in pure Rust: no `protoc` is needed on the building machine.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const CONTRACTS: [&str; 3] =
    ["sheaf/v1/options.proto", "sheaf/v1/document_service.proto", "sheaf/v1/catalog_service.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=sheaf");
    let descriptors = protox::compile(CONTRACTS, ["."])?;
    // `compile_fds` writes no descriptor file of its own, and reflection needs one.
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("sheaf_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
