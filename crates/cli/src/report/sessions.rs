//! `AuditReport`: the activity of each session of an audit file.

use std::collections::HashMap;

use serde::Serialize;

use super::activity::{Activity, ActivityKind};
use super::record::AuditLine;

/// The report on an audit file.
#[derive(Debug, Default, Serialize)]
pub(super) struct AuditReport {
    /// In the order of their first records.
    pub(super) sessions: Vec<SessionReport>,
    /// The numbers of the lines that hold no record.
    pub(super) skipped_lines: Vec<u64>,
    #[serde(skip)]
    positions: HashMap<String, usize>,
    /// The session from which each narrowed session was narrowed.
    #[serde(skip)]
    parents: HashMap<String, String>,
}

/// The report on one session.
#[derive(Debug, Serialize)]
pub(super) struct SessionReport {
    pub(super) session: String,
    pub(super) principal: Option<String>,
    /// The session from which it was narrowed.
    pub(super) parent: Option<String>,
    pub(super) first: String,
    pub(super) last: String,
    /// When the session was closed; absent while it is open, or if its process was killed.
    pub(super) closed_at: Option<String>,
    /// Until when AWS accepts the last credentials that it has held.
    pub(super) accepted_until: Option<String>,
    pub(super) activities: Vec<Activity>,
    #[serde(skip)]
    positions: HashMap<ActivityKind, usize>,
}

impl AuditReport {
    /// Adds the record of a line, or the number of a line that holds none.
    pub(super) fn add(&mut self, line: u64, record: Option<AuditLine>) {
        let Some(record) = record else { return self.skipped_lines.push(line) };
        if let Some(narrow) = &record.narrow {
            self.parents.insert(narrow.child.clone(), record.session.clone());
        }
        let next = self.sessions.len();
        let position = *self.positions.entry(record.session.clone()).or_insert(next);
        if position == next {
            let parent = self.parents.get(&record.session).cloned();
            self.sessions.push(SessionReport::new(&record, parent));
        }
        if let Some(session) = self.sessions.get_mut(position) {
            session.add(record);
        }
    }

    /// Keeps the session whose id begins with `id`, and the sessions that were narrowed from it.
    ///
    /// # Errors
    /// Describes why no session is selected, and the remedy.
    pub(super) fn select(&mut self, id: &str) -> Result<(), String> {
        let ids = self.sessions.iter().map(|session| session.session.as_str());
        let found: Vec<_> = ids.filter(|session| session.starts_with(id)).map(str::to_owned).collect();
        let [selected] = found.as_slice() else {
            let reason = if found.is_empty() { "no session" } else { "more than one session" };
            return Err(format!(
                "{reason} of the audit file has an id that begins so; leave `--session` out to list all"
            ));
        };
        let parents = &self.parents;
        self.sessions.retain(|session| is_within(parents, &session.session, selected));
        Ok(())
    }
}

/// Whether `session` is `ancestor` or was narrowed from it, directly or not.
fn is_within(parents: &HashMap<String, String>, session: &str, ancestor: &str) -> bool {
    let mut current = session;
    // A file that was changed could contain a cycle.
    for _ in 0..=parents.len() {
        match parents.get(current) {
            _ if current == ancestor => return true,
            Some(parent) => current = parent,
            None => return false,
        }
    }
    false
}

impl SessionReport {
    fn new(record: &AuditLine, parent: Option<String>) -> Self {
        Self {
            session: record.session.clone(),
            principal: record.principal.clone(),
            parent,
            first: record.at.clone(),
            last: String::new(),
            closed_at: None,
            accepted_until: None,
            activities: Vec::new(),
            positions: HashMap::new(),
        }
    }

    fn add(&mut self, record: AuditLine) {
        self.last.clone_from(&record.at);
        if record.event == "close" {
            self.closed_at = Some(record.at.clone());
            self.accepted_until.clone_from(&record.expires_at);
        }
        let kind = ActivityKind::of(&record);
        let next = self.activities.len();
        let position = *self.positions.entry(kind.clone()).or_insert(next);
        if position == next {
            self.activities.push(Activity::new(kind, &record.at));
        }
        if let Some(activity) = self.activities.get_mut(position) {
            activity.add(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> AuditReport {
        let mut report = AuditReport::default();
        for (number, line) in (1..).zip(lines) {
            report.add(number, serde_json::from_str(line).ok());
        }
        report
    }

    const NARROW: &str =
        r#"{"at":"1","session":"aa","event":"narrow","narrow":{"child":"bb","accounts":["dev"]}}"#;
    const CHILD: &str = r#"{"at":"2","session":"bb","event":"serve"}"#;
    const OTHER: &str = r#"{"at":"3","session":"ab","event":"serve"}"#;

    #[test]
    fn select_keeps_narrowed_sessions_of_session() {
        let mut selected = report(&[NARROW, CHILD, OTHER]);
        selected.select("aa").unwrap();
        let ids: Vec<_> = selected.sessions.iter().map(|session| session.session.as_str()).collect();
        assert_eq!(ids, ["aa", "bb"]);
        assert_eq!(selected.sessions[1].parent.as_deref(), Some("aa"));
        assert!(report(&[NARROW, OTHER]).select("a").unwrap_err().contains("more than one"));
        assert!(report(&[NARROW]).select("x").unwrap_err().contains("no session"));
    }

    #[test]
    fn select_of_sessions_in_a_cycle_ends() {
        let back = r#"{"at":"2","session":"bb","event":"narrow","narrow":{"child":"aa"}}"#;
        let mut cycle = report(&[NARROW, back, OTHER]);
        cycle.select("ab").unwrap();
        assert_eq!(cycle.sessions.len(), 1);
    }

    #[test]
    fn add_counts_equal_events_and_their_failures() {
        let request = |status: u16| {
            format!(
                r#"{{"at":"1","session":"a","event":"request","request":{{"service":"s3","status":{status},"request_bytes":3}}}}"#
            )
        };
        let (found, missing) = (request(200), request(404));
        let report = report(&[&found, &missing, &missing]);
        let [activity] = report.sessions[0].activities.as_slice() else { panic!("{report:?}") };
        assert_eq!((activity.count, activity.failed, activity.request_bytes), (3, 2, 9));
        assert_eq!((activity.failures["404"], activity.kind.target.as_deref()), (2, Some("s3:?")));
    }

    #[test]
    fn add_keeps_decisions_of_each_channel_apart() {
        let grant = |channel: &str| {
            format!(r#"{{"at":"1","session":"a","event":"grant_access","decided_by":"{channel}"}}"#)
        };
        let (page, terminal) = (grant("status_page"), grant("terminal"));
        let report = report(&[&page, &terminal, &page]);
        let decisions = report.sessions[0].activities.iter();
        let decisions: Vec<_> =
            decisions.map(|activity| (activity.kind.decided_by.as_deref(), activity.count)).collect();
        assert_eq!(decisions, [(Some("status_page"), 2), (Some("terminal"), 1)]);
    }
}
