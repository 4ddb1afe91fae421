//! The report of a run: a table, JSON, and a page with plots.

mod markdown;
mod page;
mod plot;
pub(crate) mod table;

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Serialize;

use crate::Result;
use crate::build_info::BuildInfo;
use crate::machine::MachineInfo;
use crate::results::Section;

/// Changes with each incompatible change of the JSON.
const JSON_SCHEMA_VERSION: u32 = 1;

/// A whole run. `docs/benchmarks.md` describes the fields of its JSON.
#[derive(Serialize)]
pub(crate) struct BenchRun {
    schema: u32,
    began_at: String,
    /// Whether the run is quick, which gives no valid figures.
    quick: bool,
    machine: MachineInfo,
    built: BuildInfo,
    pub(crate) sections: Vec<Section>,
}

impl BenchRun {
    /// Reads the state of the machine before the first measure.
    pub(crate) fn start(quick: bool) -> Self {
        let now = DateTime::from_secs(DateTime::from(SystemTime::now()).secs());
        let began_at = now.fmt(Format::DateTime).unwrap_or_default();
        Self {
            schema: JSON_SCHEMA_VERSION,
            began_at,
            quick,
            machine: MachineInfo::collect(),
            built: BuildInfo::collect(),
            sections: Vec::new(),
        }
    }

    pub(crate) fn write_json(&self, file: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(file, text).map_err(|error| format!("writing {}: {error}", file.display()).into())
    }

    /// Writes one self-contained page, and the table of goals as Markdown.
    pub(crate) fn write_report(&self, folder: &Path) -> Result<()> {
        let page = page::render_page(self)?;
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(folder.join("index.html"), page))
            .and_then(|()| fs::write(folder.join("goals.md"), markdown::goals_table(self)));
        written.map_err(|error| format!("writing into {}: {error}", folder.display()).into())
    }

    /// Returns the description of machine and build, in lines.
    pub(crate) fn header_lines(&self) -> Vec<String> {
        let Self { machine, built, .. } = self;
        let versions: Vec<String> =
            built.versions.iter().map(|version| format!("{} {}", version.package, version.version)).collect();
        let flags = if built.rustflags.is_empty() { "no RUSTFLAGS" } else { built.rustflags };
        let load = machine.load.map_or_else(|| "unknown".to_owned(), |load| load.to_string());
        let mut lines = vec![
            format!(
                "{}, {} cores, load before the run {load}, {}",
                machine.system, machine.cores, self.began_at
            ),
            format!("{}, {}, {flags}, {}", built.rustc, built.profile, built.target),
            versions.join(" · "),
        ];
        if self.quick {
            lines.push("A quick run: its figures are not valid measurements.".to_owned());
        }
        lines
    }
}
