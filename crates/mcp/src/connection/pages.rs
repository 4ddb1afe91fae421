//! `PageCollector`: collects the pages of a list, up to a limit.
//!
//! A server may send pages without end. The limit is on the size of the pages and on their number, so that a list ends
//! in bounded time with the tools that were read until then.

use std::io;

use serde_json::Value;

use super::RequestError;

/// The maximum number of pages. A server with more pages probably never ends the list.
const MAX_PAGES: usize = 100;

/// The maximum size of all pages, in bytes of JSON: far more than a model can read.
const MAX_LIST_SIZE: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub(super) struct PageCollector {
    tools: Vec<Value>,
    pages: usize,
    size: ByteCounter,
}

impl PageCollector {
    /// Adds a page, and returns the cursor of the next page. A page beyond the limit is dropped; earlier pages are
    /// kept.
    pub(super) fn add_page(&mut self, page: Value) -> Result<Option<String>, RequestError> {
        let Value::Object(mut page) = page else { return Ok(None) };
        if let Some(Value::Array(more)) = page.remove("tools") {
            // `ByteCounter` never fails.
            let _counted = serde_json::to_writer(&mut self.size, &more);
            if self.size.0 > MAX_LIST_SIZE {
                return Err(RequestError::ListTooLarge);
            }
            self.tools.extend(more);
        }
        self.pages += 1;
        match page.remove("nextCursor") {
            Some(Value::String(_)) if self.pages >= MAX_PAGES => Err(RequestError::ListTooLarge),
            Some(Value::String(cursor)) => Ok(Some(cursor)),
            _ => Ok(None),
        }
    }

    pub(super) fn into_tools(self) -> Vec<Value> {
        self.tools
    }
}

/// Counts the bytes written to it.
#[derive(Default)]
struct ByteCounter(usize);

impl io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn page_collector_follows_cursor_to_last_page() {
        let mut listing = PageCollector::default();
        let next = listing.add_page(json!({"tools": [1], "nextCursor": "more"})).unwrap();
        assert_eq!(next.as_deref(), Some("more"));
        assert_eq!(listing.add_page(json!({"tools": [2], "nextCursor": null})).unwrap(), None);
        assert_eq!(listing.into_tools(), [json!(1), json!(2)]);
    }

    #[test]
    fn page_collector_stops_at_max_pages() {
        let mut listing = PageCollector::default();
        let page = || json!({"tools": [], "nextCursor": "again"});
        let followed = (0..1000).take_while(|_| listing.add_page(page()).is_ok()).count();
        assert_eq!(followed, MAX_PAGES - 1);
    }

    #[test]
    fn page_collector_stops_at_max_list_size() {
        let mut listing = PageCollector::default();
        let page = || json!({"tools": ["x".repeat(MAX_LIST_SIZE / 2)], "nextCursor": "more"});
        assert!(listing.add_page(page()).is_ok());
        assert!(matches!(listing.add_page(page()), Err(RequestError::ListTooLarge)));
        assert_eq!(listing.into_tools().len(), 1, "the first page stays");
    }
}
