//! Finds a Python to make the virtual environments with.

use std::{env, process::Command};

use crate::{Error, Result};

const PYTHON_VARIABLE: &str = "VALETKEY_RIG_PYTHON";
const CANDIDATES: [&str; 2] = ["python3.11", "python3"];

/// The first candidate that is new enough; a named one is not replaced by another.
pub(super) fn find_python() -> Result<String> {
    let candidates = match env::var(PYTHON_VARIABLE) {
        Ok(named) => vec![named],
        Err(_) => CANDIDATES.map(str::to_owned).to_vec(),
    };
    let tried = candidates.join(", ");
    candidates.into_iter().find(|python| is_new_enough(python)).ok_or(Error::NoPython { tried })
}

fn is_new_enough(python: &str) -> bool {
    let check = "import sys; sys.exit(sys.version_info < (3, 10))";
    Command::new(python).args(["-c", check]).output().is_ok_and(|output| output.status.success())
}
