//! A loopback port that no other peer of any test process uses meanwhile.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
};

use crate::{Error, Result, venv::rig_dir};

/// A free port, reserved among rig processes for as long as this lives.
///
/// The kernel only says which port is free *now*; a slow starter could find another test's peer there. The file lock
/// closes that gap, and goes away by itself with the process.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    pub(crate) fn reserve() -> Result<Self> {
        let folder = rig_dir().join("ports");
        fs::create_dir_all(&folder).map_err(Error::io("making the rig's port folder"))?;
        loop {
            let number = find_free_port().map_err(Error::io("looking for a free loopback port"))?;
            let lock =
                File::create(folder.join(number.to_string())).map_err(Error::io("reserving a port"))?;
            if lock.try_lock().is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.number)
    }
}

fn find_free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
