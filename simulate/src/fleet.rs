//! `Fleet`: the nodes and their sessions, event by event.
//!
//! Each node refreshes its sessions in the background, as `SessionRegistry::keep_warm` does: the credentials that expire
//! first go first, a limited number at a time and in a second. A session without valid credentials, or with credentials
//! in their last minute, is refreshed by its callers, which wait for it.

mod event;
mod node;

use crate::rules::{LOAD_TIMEOUT, Windows, next_attempt, retry_of_caller, throttling_pauses};
use crate::scenario::{NodeLoss, Outage, Scenario, latency, next_call};
use crate::series::{Series, count};
use crate::sts::{Response, Sts};
use crate::{Millis, SECOND};
use event::{Event, EventQueue, Kind};
use node::{Node, Start};

/// The node that ends when a scenario loses one.
const LOST_NODE: u16 = 0;

/// A session with one role.
#[derive(Debug, Clone)]
struct Session {
    node: u16,
    /// Raised when its credentials are replaced and when it moves: earlier events are void.
    cycle: u16,
    jitter: f32,
    /// The fetch in flight.
    fetch: Option<Fetch>,
    /// Its credentials.
    windows: Option<Windows>,
    /// Since when it is used without having ever had credentials on this node.
    used_since: Option<Millis>,
}

#[derive(Debug, Clone, Copy)]
struct Fetch {
    started: Millis,
    /// Whether it counts against the limits of the node.
    is_background: bool,
}

impl Session {
    /// Returns since when the session, which is in use, has no valid credentials at `now`.
    fn without_since(&self, now: Millis) -> Option<Millis> {
        self.used_since
            .or_else(|| self.windows.map(|windows| windows.expires_at).filter(|expiry| *expiry < now))
    }
}

/// The simulated nodes. See [`simulate`].
struct Fleet<'a> {
    scenario: &'a Scenario,
    random: fastrand::Rng,
    now: Millis,
    events: EventQueue,
    sessions: Vec<Session>,
    nodes: Vec<Node>,
    sts: Sts,
    series: Series,
}

/// Simulates a day, and returns what happened in each minute.
#[must_use]
pub fn simulate(scenario: &Scenario) -> Series {
    let mut fleet = Fleet::new(scenario);
    while let Some(event) = fleet.events.pop().filter(|event| event.at < scenario.until) {
        fleet.now = event.at;
        fleet.handle(event);
    }
    fleet.end()
}

impl<'a> Fleet<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let mut random = fastrand::Rng::with_seed(scenario.seed);
        let mut events = EventQueue::new(scenario.until);
        let mut sessions = Vec::new();
        for index in 0..scenario.sessions {
            let node = u16::try_from(index % u32::from(scenario.nodes)).unwrap_or_default();
            let jitter = if scenario.has_jitter { random.f32() } else { 0.0 };
            sessions.push(Session { node, cycle: 0, jitter, fetch: None, windows: None, used_since: None });
            let at = random.u32(0..scenario.opened_within.max(1));
            events.push(Event { at, subject: index, cycle: 0, kind: Kind::Use });
        }
        if let Some(NodeLoss { at, .. }) = scenario.node_loss {
            events.push(Event { at, subject: 0, cycle: 0, kind: Kind::NodeLost });
        }
        Self {
            scenario,
            random,
            now: 0,
            events,
            sessions,
            nodes: (0..scenario.nodes).map(|_| Node::default()).collect(),
            sts: Sts::new(scenario.sts_quota, scenario.sts_outages.clone()),
            series: Series::new(scenario.until),
        }
    }

    fn handle(&mut self, event: Event) {
        let id = event.subject;
        match event.kind {
            Kind::Pace => self.pump(index(id)),
            Kind::NodeLost => self.lose_node(),
            // The credentials were replaced, or the session has moved.
            _ if self.sessions[index(id)].cycle != event.cycle => {}
            Kind::Use => self.use_session(id),
            Kind::Due => self.queue(id),
            Kind::Request(attempt) => self.request(id, attempt),
            Kind::Issued => self.replace_credentials(id),
            Kind::Failed => self.fail(id),
        }
    }

    fn schedule(&mut self, at: Millis, id: u32, kind: Kind) {
        let cycle = self.sessions[index(id)].cycle;
        self.events.push(Event { at, subject: id, cycle, kind });
    }

    /// A caller uses the session, and waits for credentials if there are none or they are in their last minute.
    fn use_session(&mut self, id: u32) {
        let now = self.now;
        let session = &mut self.sessions[index(id)];
        if session.windows.is_none() {
            session.used_since.get_or_insert(now);
        }
        let is_needed = session.windows.is_none_or(|windows| windows.mandatory_at <= now);
        if is_needed && session.fetch.is_none() {
            self.fetch(id, false);
        }
    }

    /// Queues the background refresh of a session. If it has to wait, a caller may need the credentials first.
    fn queue(&mut self, id: u32) {
        let session = &self.sessions[index(id)];
        let (Some(windows), None) = (session.windows, session.fetch) else { return };
        let node = usize::from(session.node);
        self.nodes[node].push(windows.expires_at, id);
        self.pump(node);
        if self.sessions[index(id)].fetch.is_none() {
            let at = windows.mandatory_at.max(self.now) + next_call(&mut self.random);
            self.schedule(at, id, Kind::Use);
        }
    }

    /// Starts the refreshes of a node for which its limits leave room.
    fn pump(&mut self, node: usize) {
        loop {
            match self.nodes[node].start_next(self.now) {
                Start::Refresh(id) => self.fetch(id, true),
                Start::Later(at) => {
                    let subject = u32::try_from(node).unwrap_or_default();
                    return self.events.push(Event { at, subject, cycle: 0, kind: Kind::Pace });
                }
                Start::Nothing => return,
            }
        }
    }

    /// Begins a fetch. Without the store, no node may begin one, because another node may be doing so.
    fn fetch(&mut self, id: u32, is_background: bool) {
        let now = self.now;
        let session = &mut self.sessions[index(id)];
        session.fetch = Some(Fetch { started: now, is_background });
        if let Some(windows) = session.windows {
            self.nodes[usize::from(session.node)].remove(windows.expires_at, id);
        }
        if self.scenario.store_outages.iter().any(|outage: &Outage| outage.contains(now)) {
            return self.schedule(now + SECOND, id, Kind::Failed);
        }
        count(&mut self.series.store, now);
        self.request(id, 0);
    }

    /// Sends a request to STS. One that is throttled is repeated twice.
    fn request(&mut self, id: u32, attempt: u8) {
        let now = self.now;
        match self.sts.respond(now) {
            Response::Issued => {
                count(&mut self.series.issued, now);
                let at = now + latency(&mut self.random);
                self.schedule(at, id, Kind::Issued);
            }
            Response::Throttled => {
                count(&mut self.series.throttled, now);
                match throttling_pauses(&mut self.random).get(usize::from(attempt)) {
                    Some(pause) => self.schedule(now + pause, id, Kind::Request(attempt + 1)),
                    None => self.schedule(now, id, Kind::Failed),
                }
            }
            Response::None => {
                count(&mut self.series.unanswered, now);
                let started = self.sessions[index(id)].fetch.map_or(now, |fetch| fetch.started);
                self.schedule((started + LOAD_TIMEOUT).max(now), id, Kind::Failed);
            }
        }
    }

    fn replace_credentials(&mut self, id: u32) {
        let now = self.now;
        count(&mut self.series.store, now);
        let session = &mut self.sessions[index(id)];
        if let Some(since) = session.without_since(now) {
            self.series.add_time_without(since, now);
        }
        let windows = Windows::new(now, self.scenario.lifetime, f64::from(session.jitter));
        session.cycle = session.cycle.wrapping_add(1);
        session.windows = Some(windows);
        session.used_since = None;
        self.end_fetch(id);
        self.schedule(windows.advisory_at, id, Kind::Due);
    }

    /// Repeats a failed fetch: in the background, or by the next caller if the session needs credentials now.
    fn fail(&mut self, id: u32) {
        self.end_fetch(id);
        let now = self.now;
        match self.sessions[index(id)].windows {
            Some(windows) if now < windows.mandatory_at => {
                let at = next_attempt(now, windows, &mut self.random);
                self.schedule(at, id, Kind::Due);
            }
            _ => {
                let at = now + retry_of_caller(&mut self.random);
                self.schedule(at, id, Kind::Use);
            }
        }
    }

    fn end_fetch(&mut self, id: u32) {
        let session = &mut self.sessions[index(id)];
        let node = usize::from(session.node);
        if session.fetch.take().is_some_and(|fetch| fetch.is_background) {
            self.nodes[node].end_refresh();
            self.pump(node);
        }
    }

    /// Moves the sessions of a node to the others. Their credentials were in its memory only.
    fn lose_node(&mut self) {
        let (Some(loss), 2..) = (self.scenario.node_loss, self.scenario.nodes) else { return };
        self.nodes[usize::from(LOST_NODE)] = Node::default();
        for id in 0..self.scenario.sessions {
            if self.sessions[index(id)].node != LOST_NODE {
                continue;
            }
            let node = self.random.u16(1..self.scenario.nodes);
            let session = &mut self.sessions[index(id)];
            let (cycle, jitter) = (session.cycle.wrapping_add(1), session.jitter);
            *session = Session { node, cycle, jitter, fetch: None, windows: None, used_since: None };
            let at = self.now + self.random.u32(0..loss.used_within.max(1));
            self.schedule(at, id, Kind::Use);
        }
    }

    fn end(mut self) -> Series {
        let until = self.scenario.until;
        for session in &self.sessions {
            if let Some(since) = session.without_since(until) {
                self.series.add_time_without(since, until);
            }
        }
        self.series
    }
}

fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}
