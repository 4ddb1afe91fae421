//! `Worker`: calls the gateways in its sessions, and checks that each is served with its own credentials.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use valetkey_core::{Clock, Expiry, SystemClock};

use super::fleet::{NODES, SESSIONS_PER_PRINCIPAL, SoakFleet};
use super::tally::{Count, Tally};
use crate::Result;
use crate::fleet::client::{ToolClient, ToolReply};
use crate::gateway::subjects::token_of;

/// The lifetime of the credentials.
const LIFETIME: Duration = Duration::from_secs(60);
/// They are replaced at this age.
const ROTATION: Duration = Duration::from_secs(40);
/// One in so many changes is a close, after which another session is opened.
const CHANGES_PER_CLOSE: u64 = 50;
/// The time in which all gateways have a confirmed change after the last fault.
const AGREEMENT: Duration = Duration::from_secs(15);
const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

pub(super) struct Worker {
    fleet: Arc<SoakFleet>,
    tally: Arc<Tally>,
    pause: Duration,
    sessions: Vec<SoakSession>,
    closed: Vec<(usize, String)>,
    calls: usize,
    changes: u64,
    /// The session that is called next. It moves on to another gateway with each round.
    next: usize,
}

/// A session, and what a client knows of it.
struct SoakSession {
    number: usize,
    handle: String,
    version: usize,
    set_at: Option<Instant>,
}

impl SoakSession {
    /// The last four characters of a key: three for the session, one for the version.
    fn key(&self, version: usize) -> String {
        let digits = [self.number / 1_296, self.number / 36, self.number, version];
        digits.iter().map(|digit| char::from(DIGITS[digit % 36])).collect()
    }

    fn is_own(&self, key: &str) -> bool {
        key.len() == 4 && key.get(..3) == self.key(0).get(..3)
    }
}

impl Worker {
    /// Opens sessions, and uses each on every gateway.
    pub(super) async fn open(
        fleet: Arc<SoakFleet>,
        tally: Arc<Tally>,
        numbers: Vec<usize>,
        pause: Duration,
    ) -> Result<Self> {
        let (sessions, closed) = (Vec::new(), Vec::new());
        let mut worker = Self { fleet, tally, pause, sessions, closed, calls: 0, changes: 0, next: 0 };
        for number in numbers {
            let handle = worker.open_session(number).await?;
            worker.sessions.push(SoakSession { number, handle, version: 0, set_at: None });
            let index = worker.sessions.len() - 1;
            for node in 0..NODES {
                worker.change(index, node).await?;
            }
        }
        Ok(worker)
    }

    /// Calls until the deadline.
    pub(super) async fn run(mut self, deadline: Instant) -> Result<Self> {
        while Instant::now() < deadline && !self.sessions.is_empty() {
            let (round, index) = (self.next / self.sessions.len(), self.next % self.sessions.len());
            let node = (round + index) % NODES;
            self.next += 1;
            let is_due = self.sessions[index].set_at.is_none_or(|set_at| set_at.elapsed() >= ROTATION);
            if !is_due {
                self.read(index, node).await;
            } else if self.changes % CHANGES_PER_CLOSE == CHANGES_PER_CLOSE - 1 {
                self.replace(index, node).await?;
            } else {
                self.change(index, node).await?;
            }
            sleep(self.pause).await;
        }
        Ok(self)
    }

    /// Checks after the last fault that every gateway serves every session with its last credentials, and no closed one.
    pub(super) async fn check(mut self) -> Result<()> {
        for index in 0..self.sessions.len() {
            let begun = Instant::now();
            while !self.change(index, index % NODES).await? && begun.elapsed() < AGREEMENT {}
            let expected = self.sessions[index].key(self.sessions[index].version);
            for node in 0..NODES {
                let mut found = self.read(index, node).await;
                while found.as_deref() != Some(&*expected) && begun.elapsed() < AGREEMENT {
                    sleep(Duration::from_millis(20)).await;
                    found = self.read(index, node).await;
                }
                if found.as_deref() != Some(&*expected) {
                    let number = self.sessions[index].number;
                    let lost = format!("session {number} on gateway {node}: {found:?} instead of {expected}");
                    self.tally.add_violation(Count::Lost, lost);
                }
            }
        }
        for (number, handle) in std::mem::take(&mut self.closed) {
            for node in 0..NODES {
                let reply = self.call(number, node, async |client| client.status(&handle).await).await;
                if reply.as_ref().map(ToolReply::key) != Some("closed") {
                    let found = reply.as_ref().map(ToolReply::key);
                    let revived = format!("closed session {number} on gateway {node}: {found:?}");
                    self.tally.add_violation(Count::Resurrected, revived);
                }
            }
        }
        Ok(())
    }

    async fn open_session(&mut self, number: usize) -> Result<String> {
        for _ in 0..600 {
            let node = self.calls % NODES;
            let reply = self
                .call(number, node, async |client| {
                    client.call("create_credential_session", &serde_json::json!({})).await
                })
                .await;
            let handle = reply.as_ref().and_then(|reply| reply.content().ok());
            if let Some(handle) = handle.and_then(|content| content["credential_session"].as_str()) {
                return Ok(handle.to_owned());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err("no session can be opened for a minute".into())
    }

    /// Sets new credentials, and returns whether that was confirmed.
    async fn change(&mut self, index: usize, node: usize) -> Result<bool> {
        let session = &mut self.sessions[index];
        // An unconfirmed change may have happened: each attempt has another key.
        session.version += 1;
        let (number, key, handle) = (session.number, session.key(session.version), session.handle.clone());
        let expiry = Expiry::At(SystemClock.now() + LIFETIME).to_string();
        let reply =
            self.call(number, node, async |client| client.set(&handle, &key, Some(&expiry)).await).await;
        let Some(reply) = reply else { return Ok(false) };
        match reply.content() {
            Ok(_) => {
                self.sessions[index].set_at = Some(Instant::now());
                self.changes += 1;
                self.tally.add(Count::Changes);
                Ok(true)
            }
            Err(code) => {
                self.judge(number, node, code);
                Ok(false)
            }
        }
    }

    /// Reads the key of a session, and checks that it is its own.
    async fn read(&mut self, index: usize, node: usize) -> Option<String> {
        let (number, handle) = (self.sessions[index].number, self.sessions[index].handle.clone());
        let reply = self.call(number, node, async |client| client.status(&handle).await).await?;
        match reply.content() {
            Ok(_) if self.sessions[index].is_own(reply.key()) => {}
            Ok(_) => {
                let wrong = format!("session {number} on gateway {node} has the key {}", reply.key());
                self.tally.add_violation(Count::WrongAccount, wrong);
            }
            Err(code) => self.judge(number, node, code),
        }
        Some(reply.key().to_owned())
    }

    /// Closes a session, and opens another one in its place.
    async fn replace(&mut self, index: usize, node: usize) -> Result<()> {
        let (number, handle) = (self.sessions[index].number, self.sessions[index].handle.clone());
        let close = serde_json::json!({});
        let reply = self
            .call(number, node, async |client| {
                client.call_in(&handle, "close_credential_session", close).await
            })
            .await;
        self.changes += 1;
        if reply.is_some_and(|reply| reply.content().is_ok()) {
            self.tally.add(Count::Closed);
            self.closed.push((number, handle));
        }
        // An unconfirmed close may have happened: nothing is known of that session from here on.
        let handle = self.open_session(number).await?;
        let session = &mut self.sessions[index];
        (session.handle, session.set_at) = (handle, None);
        Ok(())
    }

    /// Counts an error of a tool, unless it is one of an outage.
    fn judge(&self, number: usize, node: usize, code: &str) {
        match code {
            "unavailable" | "timed_out" => self.tally.add(Count::Outages),
            "closed" => {
                let lost = format!("session {number} on gateway {node} is closed");
                self.tally.add_violation(Count::Lost, lost);
            }
            // The credentials were not replaced in time, during an outage.
            "expired" | "not_configured" => {}
            _ => {
                let unexpected = format!("session {number} on gateway {node}: {code}");
                self.tally.add_violation(Count::Unexpected, unexpected);
            }
        }
    }

    /// Calls a gateway. `None` if it was lost.
    async fn call(
        &mut self,
        number: usize,
        node: usize,
        call: impl AsyncFnOnce(&mut ToolClient) -> Result<ToolReply>,
    ) -> Option<ToolReply> {
        self.calls += 1;
        self.tally.add(Count::Calls);
        let reply = match self.fleet.address(node).await {
            Some(address) => {
                let token = token_of(number / SESSIONS_PER_PRINCIPAL);
                call(&mut ToolClient::new(address, Some(token))).await.ok()
            }
            None => None,
        };
        if reply.is_none() {
            self.tally.add(Count::Outages);
            sleep(self.pause).await;
        }
        reply
    }
}
