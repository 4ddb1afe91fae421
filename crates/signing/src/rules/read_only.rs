//! Which operations only read.
//!
//! AWS does not publish this for operations, so it follows from their names. Whatever has another name counts as a write,
//! such as `Decrypt` and `Invoke`, and so do operations that issue credentials or tokens.

use http::Method;

/// The first words of the names of operations that read.
const READING_WORDS: [&str; 12] = [
    "BatchDescribe",
    "BatchGet",
    "Describe",
    "Filter",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Query",
    "Search",
    "Select",
    "TransactGet",
];
/// Names that are not of this form.
const OTHER_READS: [&str; 2] = ["Query", "Scan"];
/// Operations that issue access, or create what they return, although their names say that they read.
const OTHER_WRITES: [&str; 6] = [
    "GetDashboardEmbedUrl",
    "GetDataAccess",
    "GetIamPortalLoginUrl",
    "GetId",
    "GetInstanceAccessDetails",
    "GetSessionEmbedUrl",
];

/// Returns whether an operation reads. A request with a method that writes does not, whatever its name is.
pub(super) fn is_read(operation: &str, method: &Method) -> bool {
    let is_reading_word = |word: &str| {
        let rest = operation.strip_prefix(word);
        rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
    };
    let issues_access = operation.starts_with("Get")
        && (operation.contains("Token")
            || operation.contains("Credentials")
            || OTHER_WRITES.contains(&operation));
    let has_reading_name =
        READING_WORDS.iter().any(|word| is_reading_word(word)) || OTHER_READS.contains(&operation);
    matches!(*method, Method::GET | Method::HEAD | Method::POST) && has_reading_name && !issues_access
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_follows_name_and_method() {
        for name in
            ["GetObject", "ListBuckets", "DescribeTasks", "Query", "Scan", "BatchGetItem", "HeadObject"]
        {
            assert!(is_read(name, &Method::POST) && is_read(name, &Method::GET), "{name}");
            assert!(!is_read(name, &Method::PUT) && !is_read(name, &Method::DELETE), "{name}");
        }
        for name in [
            "PutItem",
            "Invoke",
            "Decrypt",
            "Listen",
            "Get",
            "GetSessionToken",
            "GetId",
            "GetSessionEmbedUrl",
            "ScanAll",
            "",
        ] {
            assert!(!is_read(name, &Method::POST), "{name}");
        }
    }
}
