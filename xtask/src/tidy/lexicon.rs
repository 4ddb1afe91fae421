//! Rejects words that have a plainer term, in names, comments, messages, documents and file names.

mod words;

use std::collections::HashSet;

use super::{Violation, Workspace};
use words::{Word, split_words};

/// A word or a phrase, and what to write instead.
type Term = (&'static str, &'static str);

const TERMS: [Term; 31] = [
    ("told", REPORT),
    ("tells", REPORT),
    ("asks", "write `fetches`, `requests` or `prompts`"),
    ("answers", "write `returns`, `responds` or `responses`"),
    ("nobody", NAME_IT),
    ("somebody", NAME_IT),
    ("whoever", NAME_IT),
    ("whom", NAME_IT),
    ("unless said", "write `(default: …)`"),
    ("by hand", "write `manually`, or name the command"),
    ("in hand", "write `held`"),
    ("hand over", "write `pass` or `return`"),
    ("stand in", "write `fake`, `placeholder` or `replacement`"),
    ("stand ins", "write `fakes`, `placeholders` or `replacements`"),
    ("patience", "write `timeout`"),
    ("wipe", CLEAR),
    ("wipes", CLEAR),
    ("wiped", CLEAR),
    ("wiping", CLEAR),
    ("strike", INVALIDATE),
    ("strikes", INVALIDATE),
    ("struck", INVALIDATE),
    ("papers", "write `documents`"),
    ("house", "name the thing"),
    ("trail", "write `audit log`"),
    ("trails", "write `audit logs`"),
    ("set of credentials", CREDENTIALS),
    ("sets of credentials", CREDENTIALS),
    ("set of keys", CREDENTIALS),
    ("credential set", CREDENTIALS),
    ("credential sets", CREDENTIALS),
];
const REPORT: &str = "write `report`, `return`, `specify` or `distinguish`";
const NAME_IT: &str = "name the caller, the provider or the program";
const CLEAR: &str = "write `clear`";
const INVALIDATE: &str = "write `invalidate` or `remove`";
const CREDENTIALS: &str = "write `credentials`";

/// Words before `set` that make it a noun, which in this project could only mean credentials. `a set of accounts` is
/// allowed.
const DETERMINERS: [&str; 20] = [
    "a", "the", "each", "every", "no", "another", "one", "first", "second", "new", "old", "fresh", "whole",
    "same", "last", "expired", "cached", "due", "two", "own",
];

/// A place where a term is right.
struct Exception {
    /// The beginning of the path.
    path: &'static str,
    /// A part of the line.
    line: &'static str,
    #[allow(dead_code, reason = "states for reviewers why the term is right")]
    reason: &'static str,
}

const fn exception(path: &'static str, line: &'static str, reason: &'static str) -> Exception {
    Exception { path, line, reason }
}

const MAX_EXCEPTIONS: usize = 30;
const EXCEPTIONS: &[Exception] = &[
    exception("xtask/src/tidy/lexicon", "", "the list of the terms, and its tests"),
    exception("", "CloudTrail", "the AWS service"),
    exception("crates/core/src/policy/read_only.rs", "GetTrail", "an action of CloudTrail"),
    exception("CHANGELOG.md", "_patience` |", "names of an earlier version, in the table of renames"),
    exception(
        "crates/cli/tests/it/real/serve.rs",
        "last_set_credentials",
        "an adjective: credentials that were set",
    ),
];

pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut used = HashSet::new();
    let files = workspace.files.iter().filter(|(path, _)| is_checked(path));
    let mut violations: Vec<Violation> =
        files.flat_map(|(path, text)| check_file(path, text, &mut used)).collect();
    // Another workspace, such as that of a test, needs none of the exceptions.
    if workspace.contains_path(file!()) {
        violations.extend(unused_exceptions(&used));
    }
    violations
}

fn is_checked(path: &str) -> bool {
    let extensions = ["rs", "md", "toml", "py", "js", "mjs", "ts", "sh", "css", "yml"];
    path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

fn unused_exceptions(used: &HashSet<usize>) -> Vec<Violation> {
    let violation = |what: String, remedy| Violation::new(file!(), 1, what, remedy);
    let unused = EXCEPTIONS.iter().enumerate().filter(|(index, _)| !used.contains(index));
    let unused = unused.map(|(_, exception)| {
        violation(
            format!("no line needs the exception `{}`, `{}`", exception.path, exception.line),
            "remove it",
        )
    });
    let too_many = EXCEPTIONS.len() > MAX_EXCEPTIONS;
    let too_many = too_many.then(|| {
        violation(
            format!("{} exceptions, {MAX_EXCEPTIONS} at most", EXCEPTIONS.len()),
            "reword some of their lines",
        )
    });
    unused.chain(too_many).collect()
}

fn check_file(path: &str, text: &str, used: &mut HashSet<usize>) -> Vec<Violation> {
    let lines: Vec<&str> = text.lines().collect();
    let in_path =
        find_terms(&split_words(path)).into_iter().map(|found| (path, FoundTerm { line: 1, ..found }));
    let in_text = find_terms(&split_words(text))
        .into_iter()
        .map(|found| (lines.get(found.line - 1).copied().unwrap_or_default(), found));
    in_path
        .chain(in_text)
        .filter(|(line, _)| !is_excepted(path, line, used))
        .map(|(_, found)| {
            Violation::new(path, found.line, format!("the term `{}`", found.term), found.remedy)
        })
        .collect()
}

fn is_excepted(path: &str, line: &str, used: &mut HashSet<usize>) -> bool {
    let applies = |exception: &Exception| path.starts_with(exception.path) && line.contains(exception.line);
    let index = EXCEPTIONS.iter().position(applies);
    used.extend(index);
    index.is_some()
}

struct FoundTerm {
    line: usize,
    term: String,
    remedy: &'static str,
}

fn find_terms(words: &[Word]) -> Vec<FoundTerm> {
    (0..words.len()).filter_map(|start| term_at(&words[start..])).collect()
}

/// Returns the term with which `words` begins.
fn term_at(words: &[Word]) -> Option<FoundTerm> {
    let line = words.first()?.line;
    let term = TERMS.iter().find(|(term, _)| starts_with_phrase(words, term));
    if let Some((term, remedy)) = term {
        return Some(FoundTerm { line, term: (*term).to_owned(), remedy });
    }
    let is_noun = DETERMINERS.contains(&words[0].text.as_str())
        && ["set", "sets"].iter().any(|noun| starts_with_phrase(&words[1..], noun))
        && words.get(1)?.follows_closely
        && !is_other_phrase(&words[1..]);
    is_noun.then(|| FoundTerm {
        line,
        term: format!("{} {}", words[0].text, words[1].text),
        remedy: CREDENTIALS,
    })
}

/// Whether `words` begin with `set of`, as in `a set of accounts`, or with a term that is reported itself.
fn is_other_phrase(words: &[Word]) -> bool {
    starts_with_phrase(words, "set of") || TERMS.iter().any(|(term, _)| starts_with_phrase(words, term))
}

fn starts_with_phrase(words: &[Word], phrase: &str) -> bool {
    let mut length = 0;
    let is_match = phrase.split(' ').zip(words).enumerate().all(|(index, (wanted, word))| {
        length += 1;
        word.text == wanted && (index == 0 || word.follows_closely)
    });
    is_match && length == phrase.split(' ').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        check(&Workspace::from_files([(path, text)])).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn check_term_in_name_comment_message_or_path_is_violation() {
        for text in [
            "fn is_told() {}",
            "struct WipeOnDrop;",
            "// Nobody calls it.",
            "/// Read by\n/// hand.",
            "const MESSAGE: &str = \"a stand-in\";",
            "/// Returns the set.",
            "/// Two sets of credentials.",
            "/// Unless said otherwise.",
            "/// The sets of this session.",
        ] {
            assert_eq!(violations("rig/src/x.rs", text).len(), 1, "{text}");
        }
        assert_eq!(violations("rig/src/papers.rs", "").len(), 1);
        assert!(violations("README.md", "a\nNobody\n")[0].starts_with("README.md:2: the term `nobody`"));
    }

    #[test]
    fn check_other_words_and_punctuation_between_pass() {
        for text in [
            "fn household() {}",
            "use std::collections::HashSet;",
            "// Read by; hand.",
            "for (a, set) in x {}",
            "/// A set of accounts.",
            "/// Credentials are set.",
            "let retold = 1;",
        ] {
            assert_eq!(violations("rig/src/x.rs", text), [""; 0], "{text}");
        }
        assert_eq!(violations("Cargo.lock", "nobody"), [""; 0]);
    }

    #[test]
    fn unused_exceptions_reports_each() {
        assert_eq!(unused_exceptions(&HashSet::new()).len(), EXCEPTIONS.len());
        assert!(unused_exceptions(&(0..EXCEPTIONS.len()).collect()).is_empty());
    }
}
