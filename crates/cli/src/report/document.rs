//! A report as aligned text for a terminal, and as Markdown.

use valetkey::escape_control_chars;

use super::activity::Activity;
use super::sessions::{AuditReport, SessionReport};
use crate::table::table_text;

const HEADINGS: [&str; 8] = ["EVENT", "ACCOUNT", "COMPONENT", "TARGET", "COUNT", "FAILED", "LAST", "DETAILS"];
/// The characters that Markdown gives a meaning inside a cell or a line.
const MARKDOWN_SPECIAL: [char; 10] = ['\\', '`', '*', '_', '[', ']', '<', '>', '|', '#'];

/// Returns the report as aligned text.
pub(super) fn text(report: &AuditReport) -> String {
    let sections = report.sessions.iter().map(|session| {
        let heading = heading_lines(session).map(|line| format!("{}\n", escape_control_chars(&line)));
        format!("{}{}", heading.concat(), table_text(HEADINGS, session.activities.iter().map(row)))
    });
    or_empty(sections.collect::<Vec<_>>().join("\n"))
}

/// Returns the report as Markdown. No text of a record has a meaning as Markdown.
pub(super) fn markdown(report: &AuditReport) -> String {
    let line = |cells: [String; 8]| format!("| {} |\n", cells.join(" | "));
    let sections = report.sessions.iter().map(|session| {
        let [title, times] = heading_lines(session).map(|line| markdown_text(&line));
        let headings = line(HEADINGS.map(str::to_lowercase));
        let rows =
            session.activities.iter().map(|activity| line(row(activity).map(|cell| markdown_text(&cell))));
        let rule = "|---|---|---|---|---:|---:|---|---|\n";
        format!("## {title}\n\n{times}\n\n{headings}{rule}{}", rows.collect::<String>())
    });
    or_empty(sections.collect::<Vec<_>>().join("\n"))
}

fn or_empty(text: String) -> String {
    if text.is_empty() { "no audit records\n".to_owned() } else { text }
}

fn heading_lines(session: &SessionReport) -> [String; 2] {
    let principal = session.principal.as_ref().map(|principal| format!(" of {principal}"));
    let parent = session.parent.as_ref().map(|parent| format!(", narrowed from {parent}"));
    let end = match (&session.closed_at, &session.accepted_until) {
        (None, _) => format!("last record at {}, not closed", session.last),
        (Some(at), None) => format!("closed at {at}, with no credentials that AWS still accepts"),
        (Some(at), Some(until)) => format!("closed at {at}; AWS accepts its last credentials until {until}"),
    };
    let title =
        format!("session {}{}{}", session.session, principal.unwrap_or_default(), parent.unwrap_or_default());
    [title, format!("first record at {}; {end}", session.first)]
}

fn row(activity: &Activity) -> [String; 8] {
    let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
    let kind = &activity.kind;
    [
        kind.event.clone(),
        text(&kind.account),
        text(&kind.component),
        text(&kind.target),
        activity.count.to_string(),
        activity.failed.to_string(),
        activity.last.clone(),
        details(activity),
    ]
}

fn details(activity: &Activity) -> String {
    let failures = activity.failures.iter().map(|(failure, count)| format!("{failure}: {count}"));
    let decision = activity.kind.decided_by.as_ref().map(|channel| format!("decided by: {channel}"));
    let mut parts: Vec<_> = failures.chain(decision).collect();
    if activity.kind.event == "request" {
        parts.push(format!("{} bytes sent, {} received", activity.request_bytes, activity.response_bytes));
    } else if let Some(suffix) = &activity.key_suffix {
        let until = activity.expires_at.as_ref().map(|until| format!(" until {until}"));
        parts.push(format!("key …{suffix}{}", until.unwrap_or_default()));
    }
    parts.join("; ")
}

fn markdown_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in escape_control_chars(text).chars() {
        if MARKDOWN_SPECIAL.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(if character == '\t' { ' ' } else { character });
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::activity::ActivityKind;
    use super::*;

    #[test]
    fn details_of_decision_name_its_channel() {
        let kind = ActivityKind {
            event: "grant_access".to_owned(),
            account: None,
            component: None,
            target: None,
            decided_by: Some("status_page".to_owned()),
        };
        assert_eq!(details(&Activity::new(kind, "1")), "decided by: status_page");
    }

    #[test]
    fn markdown_text_has_no_meaning_as_markdown() {
        assert_eq!(markdown_text("a|b <c> [d](e)\u{1b}\n"), r"a\|b \<c\> \[d\](e)\\u{1b}\\u{a}");
    }
}
