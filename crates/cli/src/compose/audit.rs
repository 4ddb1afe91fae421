//! The audit file of the settings: opened to be added to, or only looked at.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, access};
use valetkey::audit::{AuditSink, JsonLines};

use super::Purpose;
use crate::settings::{Fault, Settings};

/// Where the records go, if the settings say so and it is there.
pub(super) fn sink(
    settings: &Settings,
    purpose: Purpose,
    faults: &mut Vec<Fault>,
) -> Option<Arc<dyn AuditSink>> {
    let path = &settings.audit.as_ref()?.file;
    let mut options = OpenOptions::new();
    let sink = match purpose {
        Purpose::Check => writable(path).map(|()| None),
        Purpose::Work => options
            .create(true)
            .append(true)
            // Who did what when is nobody else's business.
            .mode(0o600)
            .open(path)
            .map(|file| Some(Arc::new(JsonLines::new(file)) as Arc<dyn AuditSink>)),
    };
    sink.unwrap_or_else(|error| {
        let what = format!("cannot be written: {error}; name a file in a folder that is there and writable");
        faults.push(settings.fault(&["audit", "file"], what));
        None
    })
}

/// Whether the file could be opened, or made.
fn writable(path: &Path) -> io::Result<()> {
    match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Ok(access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)?)
        }
        opened => opened.map(drop),
    }
}
