//! Keeps the checked-in code equal to what the contract says.

use std::fs;
use std::path::Path;

/// Makes the code from the contract, without a protoc.
fn generate() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let contract = protox::compile(["casewire/v1/event.proto"], [root]).expect("the contract is valid");
    let folder = tempfile::tempdir().expect("a temporary folder");
    prost_build::Config::new()
        .out_dir(folder.path())
        .btree_map(["."])
        .skip_debug(["casewire.v1.Event"])
        .compile_fds(contract)
        .expect("code from the contract");
    fs::read_to_string(folder.path().join("casewire.v1.rs")).expect("the code")
}

#[test]
fn the_generated_code_is_what_the_contract_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated/casewire.v1.rs");
    let generated = generate();
    if std::env::var_os("CASEWIRE_REGENERATE").is_some() {
        fs::write(&path, &generated).expect("the code can be written");
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == generated, "src/generated is stale: the README of this crate says how to renew it");
}
