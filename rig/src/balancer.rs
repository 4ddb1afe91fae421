//! The load balancers of the machine, with the settings that the documents give: no index that the rig installs from has one.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use tokio::{net::TcpStream, process::Child};

use crate::{Error, Result, folder::RunDir, port::Port, programs, readiness::wait_ready};

/// A load balancer that is configured by one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalancerKind {
    /// nginx.
    Nginx,
    /// HAProxy 2.6 or newer.
    HaProxy,
}

impl BalancerKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
        }
    }

    /// The path of the program, or [`Error::NoBalancer`]. Debian has nginx in a folder for the superuser.
    pub fn program(self) -> Result<PathBuf> {
        let superuser = Path::new("/usr/sbin").join(self.name());
        let on_path = programs(&[self.name()]).into_iter().next();
        on_path.or_else(|| superuser.is_file().then_some(superuser)).ok_or(Error::NoBalancer)
    }

    /// What the program needs beside the settings, to run without privileges and to write to its folder only.
    fn complete(self, settings: &str) -> String {
        match self {
            Self::Nginx => format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
                 client_body_temp_path tmp/body;\nproxy_temp_path tmp/proxy;\nfastcgi_temp_path tmp/fastcgi;\n\
                 uwsgi_temp_path tmp/uwsgi;\nscgi_temp_path tmp/scgi;\n{settings}}}\n"
            ),
            Self::HaProxy => format!(
                "defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n{settings}"
            ),
        }
    }
}

/// A running load balancer on a free loopback port. Dropping the handle kills it.
#[derive(Debug)]
pub struct Balancer {
    kind: BalancerKind,
    child: Child,
    port: Port,
    folder: RunDir,
}

impl Balancer {
    /// Starts a balancer with the settings that `settings` makes for its address.
    pub async fn start(kind: BalancerKind, settings: impl FnOnce(SocketAddr) -> String) -> Result<Self> {
        let (program, folder, port) = (kind.program()?, RunDir::create(kind.name())?, Port::reserve()?);
        let settings = kind.complete(&settings((Ipv4Addr::LOCALHOST, port.number()).into()));
        let file = folder.path().join("balancer.conf");
        fs::write(&file, settings).map_err(Error::io("writing the settings of a balancer"))?;
        let mut command = folder.machine_command(&program)?;
        match kind {
            BalancerKind::Nginx => {
                command.arg("-p").arg(folder.path()).arg("-e").arg("stderr").arg("-c").arg(&file)
            }
            BalancerKind::HaProxy => command.arg("-db").arg("-f").arg(&file),
        };
        let child = command.spawn().map_err(Error::io("starting a balancer"))?;
        let mut balancer = Self { kind, child, port, folder };
        balancer.wait_ready().await?;
        Ok(balancer)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// Kills it and removes its folder.
    pub async fn stop(mut self) -> Result<()> {
        self.child.kill().await.map_err(Error::io("killing a balancer"))?;
        self.folder.remove()
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let address = self.address();
        let is_ready = async || TcpStream::connect(address).await.is_ok();
        wait_ready(self.kind.name(), &mut self.child, &self.folder, "it does not listen", is_ready).await
    }
}
