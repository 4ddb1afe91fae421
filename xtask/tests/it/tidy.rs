//! What `cargo xtask tidy` would say about this repository.

use xtask::tidy::{Fault, faults};

#[test]
fn the_repository_is_tidy() {
    let faults = faults(&xtask::root()).unwrap();
    let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}
