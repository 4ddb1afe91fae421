//! The measures: each compares subjects round by round and returns sections of results.

pub(crate) mod allocations;
pub(crate) mod churn;
pub(crate) mod contended;
mod endpoint;
pub(crate) mod find;
mod gateway;
pub(crate) mod herds;
pub(crate) mod instructions;
mod keep_warm;
pub(crate) mod memory;
pub(crate) mod python;
mod signing;
pub(crate) mod store;
pub(crate) mod warm;

use std::path::PathBuf;

use crate::Result;
use crate::env::BenchEnv;
use crate::results::Section;

/// A measure, by its name for `--only`.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&BenchEnv) -> Result<Vec<Section>>,
}

pub(crate) const ALL: &[Measure] = &[
    Measure { name: "warm", run: warm::run },
    Measure { name: "contended", run: contended::run },
    Measure { name: "herds", run: herds::run },
    Measure { name: "find", run: find::run },
    Measure { name: "churn", run: churn::run },
    Measure { name: "memory", run: memory::run },
    Measure { name: "keep-warm", run: keep_warm::run },
    Measure { name: "instructions", run: instructions::run },
    Measure { name: "python", run: python::run },
    Measure { name: "endpoint", run: endpoint::run },
    Measure { name: "gateway", run: gateway::run },
    Measure { name: "signing", run: signing::run },
    Measure { name: "store", run: store::run },
];

/// Returns the measures of these names, or all if there are none.
pub(crate) fn select_measures(names: &[String]) -> Result<Vec<&'static Measure>> {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|measure| measure.name != name.as_str())) {
        let names: Vec<&str> = ALL.iter().map(|measure| measure.name).collect();
        return Err(format!("no measure is called `{unknown}`; there are {}", names.join(", ")).into());
    }
    let is_chosen = |measure: &&Measure| names.is_empty() || names.iter().any(|name| name == measure.name);
    Ok(ALL.iter().filter(is_chosen).collect())
}

/// Returns the path of another program of this package in the same folder.
pub(crate) fn sibling_program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} was not built; build all bins", path.display()).into())
    }
}
