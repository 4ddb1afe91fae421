//! `cargo xtask`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for venv in valetkey_rig::Venv::ALL {
        valetkey_rig::install::install(venv)?;
    }
    Ok(())
}
