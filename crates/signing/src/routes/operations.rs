//! `RestOperations`: the operations of services whose requests name them by method and path.
//!
//! `cargo xtask endpoints` writes `data/operations.txt` from botocore's service models. The lines of a service are parsed
//! when a request or a rule first needs them.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::OnceLock;

use http::request::Parts;

/// The templates of each service.
///
/// A line is `METHOD /path/{}/{+}?key&key=value Operation [header]`. `{}` is one segment of the path, `{+}` one or more. The
/// query must have the keys, and the request the header.
pub(super) struct RestOperations(HashMap<&'static str, ServiceOperations>);

struct ServiceOperations {
    lines: &'static str,
    parsed: OnceLock<Vec<OperationTemplate>>,
}

/// A line of the file: the requests of one operation.
struct OperationTemplate {
    method: &'static str,
    segments: Vec<Segment>,
    /// The keys that the query must have, each with the value that it must have, if any.
    query: Vec<(&'static str, Option<&'static str>)>,
    header: Option<&'static str>,
    name: &'static str,
}

/// A part of a path, from the least to the most specific kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// One or more segments.
    Greedy,
    Label,
    Literal(&'static str),
}

impl RestOperations {
    /// Finds the sections of the file.
    pub(super) fn new() -> Self {
        let sections = include_str!("../../data/operations.txt").split("\n[").skip(1);
        let section = |text: &'static str| text.split_once("]\n");
        let services = sections
            .filter_map(section)
            .map(|(name, lines)| (name, ServiceOperations { lines, parsed: OnceLock::new() }));
        Self(services.collect())
    }

    /// Returns the names of the service's operations.
    pub(super) fn names(&self, service: &str) -> impl Iterator<Item = &'static str> {
        self.templates(service).iter().map(|template| template.name)
    }

    /// Returns the operations that a request may be. There are several if their templates are equally specific, and none
    /// if the request matches no template.
    ///
    /// A path or a query that no SDK writes matches no template, because the service might read it otherwise: one with an
    /// escape where none is needed.
    pub(super) fn find(&self, service: &str, parts: &Parts, path: &str) -> Vec<&'static str> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if has_needless_escape(path) || has_needless_escape(query) {
            return Vec::new();
        }
        let path: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let is_match = |template: &&OperationTemplate| template.matches(parts, &path, query);
        let matching: Vec<_> = self.templates(service).iter().filter(is_match).collect();
        let is_most_specific = |template: &&&OperationTemplate| {
            !matching.iter().any(|other| other.is_more_specific_than(template))
        };
        matching.iter().filter(is_most_specific).map(|template| template.name).collect()
    }

    fn templates(&self, service: &str) -> &[OperationTemplate] {
        let Some(operations) = self.0.get(service) else { return &[] };
        operations
            .parsed
            .get_or_init(|| operations.lines.lines().filter_map(OperationTemplate::parse).collect())
    }
}

impl OperationTemplate {
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split(' ');
        let (method, uri, name) = (fields.next()?, fields.next()?, fields.next()?);
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let segment = |text| match text {
            "{}" => Segment::Label,
            "{+}" => Segment::Greedy,
            literal => Segment::Literal(literal),
        };
        Some(Self {
            method,
            segments: path.strip_prefix('/')?.split('/').map(segment).collect(),
            query: fields_of(query).collect(),
            header: fields.next(),
            name,
        })
    }

    fn matches(&self, parts: &Parts, path: &[&str], query: &str) -> bool {
        let has_key = |(key, value): &(&str, Option<&str>)| {
            fields_of(query)
                .any(|(name, found)| name == *key && value.is_none_or(|value| found == Some(value)))
        };
        parts.method == self.method
            && self.matches_path(path)
            && self.query.iter().all(has_key)
            && self.header.is_none_or(|header| parts.headers.contains_key(header))
    }

    /// A slash at the end of a path has no meaning, except in a greedy label.
    fn matches_path(&self, path: &[&str]) -> bool {
        if matches_segments(&self.segments, path) {
            return true;
        }
        let without_slash = path.split_last().filter(|(last, rest)| last.is_empty() && !rest.is_empty());
        without_slash.is_some_and(|(_, rest)| matches_segments(&self.segments, rest))
    }

    /// A more specific path takes precedence; between equal ones, more conditions do.
    fn is_more_specific_than(&self, other: &Self) -> bool {
        match self.segments.cmp(&other.segments) {
            Ordering::Equal => {
                let (count, others) = (self.conditions().count(), other.conditions().count());
                count > others
                    && other.conditions().all(|condition| self.conditions().any(|own| own == condition))
            }
            ordering => ordering == Ordering::Greater,
        }
    }

    fn conditions(&self) -> impl Iterator<Item = &'static str> {
        self.query.iter().map(|(key, _)| *key).chain(self.header)
    }
}

/// Returns the names and values of a query.
fn fields_of(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let fields = query.split('&').filter(|field| !field.is_empty());
    fields.map(|field| field.split_once('=').map_or((field, None), |(name, value)| (name, Some(value))))
}

fn matches_segments(template: &[Segment], path: &[&str]) -> bool {
    match (template, path) {
        ([], []) => true,
        ([Segment::Literal(literal), template @ ..], [segment, path @ ..]) => {
            literal == segment && matches_segments(template, path)
        }
        ([Segment::Label, template @ ..], [segment, path @ ..]) => {
            !segment.is_empty() && matches_segments(template, path)
        }
        // No template has more than one greedy label.
        ([Segment::Greedy, template @ ..], path) => {
            let greedy = path.len().saturating_sub(template.len());
            let (labels, path) = path.split_at(greedy);
            labels.iter().any(|label| !label.is_empty() || labels.len() > 1)
                && matches_segments(template, path)
        }
        _ => false,
    }
}

/// Returns whether a character is escaped that no SDK escapes: a letter, a digit, `-`, `.`, `_` or `~`.
fn has_needless_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|escaped| {
        let byte = escaped.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn find(service: &str, method: &str, path: &str, header: Option<&str>) -> Vec<&'static str> {
        let mut request = http::Request::builder().method(method).uri("/");
        if let Some(header) = header {
            request = request.header(header, "x");
        }
        RestOperations::new().find(service, &request.body(()).unwrap().into_parts().0, path)
    }

    #[test]
    fn find_request_of_s3_is_its_operation() {
        for (method, path, header, name) in [
            ("GET", "/", None, &["ListBuckets"][..]),
            ("GET", "/b", None, &["ListObjects"]),
            ("GET", "/b/?list-type=2&prefix=a", None, &["ListObjectsV2"]),
            ("GET", "/b?acl", None, &["GetBucketAcl"]),
            ("GET", "/b/k", None, &["GetObject"]),
            ("GET", "/b//k/?x-id=GetObject", None, &["GetObject"]),
            ("GET", "/b/k?uploadId=1", None, &["ListParts"]),
            ("PUT", "/b/k%2F", None, &["PutObject"]),
            ("PUT", "/b/k", Some("x-amz-copy-source"), &["CopyObject"]),
            ("PUT", "/b/k?partNumber=1&uploadId=2", None, &["UploadPart"]),
            ("PUT", "/b/k?partNumber=1&uploadId=2", Some("x-amz-copy-source"), &["UploadPartCopy"]),
            ("POST", "/b?delete", None, &["DeleteObjects"]),
            ("GET", "/b?acl&policy", None, &["GetBucketAcl", "GetBucketPolicy"]),
            ("PUT", "/b/k?acl", Some("x-amz-copy-source"), &["CopyObject", "PutObjectAcl"]),
            ("PATCH", "/b/k", None, &[]),
            ("GET", "/b/k?%61cl", None, &[]),
        ] {
            assert_eq!(find("s3", method, path, header), name, "{method} {path}");
        }
    }

    #[test]
    fn find_request_of_other_services_is_most_specific() {
        for (service, method, path, name) in [
            ("lambda", "POST", "/2015-03-31/functions/f/invocations", &["Invoke"][..]),
            ("lambda", "POST", "/2015-03-31/functions/f/%69nvocations", &[]),
            ("lambda", "POST", "/2015-03-31//functions/f/invocations", &[]),
            ("bedrock-runtime", "POST", "/model/a:b/converse-stream", &["ConverseStream"]),
            ("workspaces-web", "PUT", "/portals/arn:a/b/userSettings", &["AssociateUserSettings"]),
            ("workspaces-web", "GET", "/portals/arn:a/b", &["GetPortal"]),
            ("dynamodb", "POST", "/", &[]),
        ] {
            assert_eq!(find(service, method, path, None), name, "{service} {path}");
        }
    }

    #[test]
    fn parse_every_line_is_operation() {
        let operations = RestOperations::new();
        let mut count = 0;
        for (service, section) in &operations.0 {
            assert_eq!(operations.templates(service).len(), section.lines.lines().count(), "{service}");
            count += section.lines.lines().count();
            // `METHOD template Operation [header]`: without the name, no two are equal.
            let mut requests = HashSet::new();
            for line in section.lines.lines() {
                let [method, template, _, header @ ..] = &line.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                assert!(requests.insert((*method, *template, header.to_vec())), "{service}: {line}");
            }
        }
        assert!(count > 10_000);
    }

    proptest! {
        #[test]
        fn find_any_path_and_query_returns(path in "[/a-z%?&=+.0-9]{0,60}", method in "GET|PUT|POST|DELETE") {
            for service in ["s3", "lambda", "workspaces-web"] {
                let found = find(service, &method, &path, None);
                prop_assert!(found.is_empty() || !has_needless_escape(&path));
            }
        }
    }
}
