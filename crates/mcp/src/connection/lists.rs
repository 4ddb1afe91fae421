//! `ListKind`: the lists of an MCP server; `AnnouncedChanges`: the changes that it announces; `PageCollector`: collects
//! the pages of a list, up to a limit.
//!
//! A server may send pages without end. The limits are on the number of items, on the size of the pages and on their
//! number, so that a list ends in bounded time with the items that were read until then.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rmcp::model::ServerCapabilities;
use serde_json::Value;
use tokio::sync::Notify;

use super::RequestError;

/// The maximum number of pages. A server with more pages probably never ends the list.
const MAX_PAGES: usize = 100;

/// The maximum size of all pages, in bytes of JSON: far more than a model can read.
const MAX_LIST_SIZE: usize = 16 * 1024 * 1024;

/// The maximum number of items. Every client would receive them in one message.
const MAX_ITEMS: usize = 10_000;

/// The maximum number of updated resources that the supervisor has not read yet.
const MAX_UPDATES: usize = 1_000;

/// A list that a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ListKind {
    Tools,
    Prompts,
    Resources,
    ResourceTemplates,
}

impl ListKind {
    pub(crate) const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::ResourceTemplates];

    /// The lists that one notification announces.
    pub(crate) const RESOURCES: [Self; 2] = [Self::Resources, Self::ResourceTemplates];

    /// The request that returns the list.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
        }
    }

    /// The field of the result that contains the items.
    pub(crate) fn items_field(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }

    /// The field of an item that identifies it within its server.
    pub(crate) fn id_field(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }

    /// What an item is called in messages.
    pub(crate) fn item_name(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Prompts => "prompt",
            Self::Resources => "resource",
            Self::ResourceTemplates => "resource template",
        }
    }

    /// Whether a server with these capabilities has the list. Tools are requested from every server, because some
    /// servers do not declare them.
    pub(super) fn is_offered_by(self, capabilities: &ServerCapabilities) -> bool {
        match self {
            Self::Tools => true,
            Self::Prompts => capabilities.prompts.is_some(),
            Self::Resources | Self::ResourceTemplates => capabilities.resources.is_some(),
        }
    }
}

/// One value for each list.
#[derive(Debug, Default)]
pub(crate) struct PerList<T>([T; ListKind::ALL.len()]);

impl<T> PerList<T> {
    pub(crate) fn new(value: impl FnMut(ListKind) -> T) -> Self {
        Self(ListKind::ALL.map(value))
    }

    pub(crate) fn get(&self, kind: ListKind) -> &T {
        &self.0[kind as usize]
    }
}

/// The changes that a server has announced.
#[derive(Debug)]
pub(super) struct AnnouncedChanges {
    /// Whether a list was announced to have changed since it was last read, or was not read to its end.
    is_stale: PerList<AtomicBool>,
    /// Whether an announcement was not yet returned by [`wait`](Self::wait).
    is_pending: PerList<AtomicBool>,
    /// The resources with updates that [`wait`](Self::wait) has not returned yet.
    updated: Mutex<BTreeSet<String>>,
    notify: Notify,
}

/// What a server has announced.
#[derive(Debug, Default)]
pub(crate) struct Announcement {
    /// The lists that have changed.
    pub(crate) lists: Vec<ListKind>,
    /// The URIs of the resources that were updated.
    pub(crate) resources: BTreeSet<String>,
}

impl AnnouncedChanges {
    pub(super) fn new() -> Self {
        Self {
            is_stale: PerList::new(|_| AtomicBool::new(true)),
            is_pending: PerList::default(),
            updated: Mutex::default(),
            notify: Notify::new(),
        }
    }

    pub(super) fn announce(&self, kinds: &[ListKind]) {
        for kind in kinds {
            self.set_stale(*kind, true);
            self.is_pending.get(*kind).store(true, Ordering::Release);
        }
        // `Notify` keeps the permit until a waiter consumes it.
        self.notify.notify_one();
    }

    pub(super) fn set_stale(&self, kind: ListKind, is_stale: bool) {
        self.is_stale.get(kind).store(is_stale, Ordering::Release);
    }

    pub(super) fn is_stale(&self, kind: ListKind) -> bool {
        self.is_stale.get(kind).load(Ordering::Acquire)
    }

    /// Adds an update of a resource. Beyond the limit, updates are lost until the earlier ones were returned.
    pub(super) fn announce_update(&self, uri: String) {
        let mut updated = self.updated.lock();
        if updated.len() < MAX_UPDATES {
            updated.insert(uri);
        }
        self.notify.notify_one();
    }

    /// Waits for announcements. Cancel safe.
    pub(super) async fn wait(&self) -> Announcement {
        loop {
            self.notify.notified().await;
            let is_pending = |kind: &ListKind| self.is_pending.get(*kind).swap(false, Ordering::AcqRel);
            let lists: Vec<_> = ListKind::ALL.into_iter().filter(is_pending).collect();
            let resources = std::mem::take(&mut *self.updated.lock());
            if !lists.is_empty() || !resources.is_empty() {
                return Announcement { lists, resources };
            }
        }
    }
}

pub(super) struct PageCollector {
    kind: ListKind,
    items: Vec<Value>,
    pages: usize,
    size: ByteCounter,
}

impl PageCollector {
    pub(super) fn new(kind: ListKind) -> Self {
        Self { kind, items: Vec::new(), pages: 0, size: ByteCounter::default() }
    }

    /// Adds a page, and returns the cursor of the next page. A page beyond the limit of the size is dropped, and items
    /// beyond the limit of their number; earlier ones are kept.
    pub(super) fn add_page(&mut self, page: Value) -> Result<Option<String>, RequestError> {
        let Value::Object(mut page) = page else { return Ok(None) };
        if let Some(Value::Array(more)) = page.remove(self.kind.items_field()) {
            // `ByteCounter` never fails.
            let _counted = serde_json::to_writer(&mut self.size, &more);
            if self.size.0 > MAX_LIST_SIZE {
                return Err(RequestError::ListTooLarge);
            }
            self.items.extend(more);
            if self.items.len() > MAX_ITEMS {
                self.items.truncate(MAX_ITEMS);
                return Err(RequestError::ListTooLarge);
            }
        }
        self.pages += 1;
        match page.remove("nextCursor") {
            Some(Value::String(_)) if self.pages >= MAX_PAGES => Err(RequestError::ListTooLarge),
            Some(Value::String(cursor)) => Ok(Some(cursor)),
            _ => Ok(None),
        }
    }

    pub(super) fn into_items(self) -> Vec<Value> {
        self.items
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
        let mut listing = PageCollector::new(ListKind::Tools);
        let next = listing.add_page(json!({"tools": [1], "nextCursor": "more"})).unwrap();
        assert_eq!(next.as_deref(), Some("more"));
        assert_eq!(listing.add_page(json!({"tools": [2], "nextCursor": null})).unwrap(), None);
        assert_eq!(listing.into_items(), [json!(1), json!(2)]);
    }

    #[test]
    fn page_collector_stops_at_max_pages() {
        let mut listing = PageCollector::new(ListKind::Tools);
        let page = || json!({"tools": [], "nextCursor": "again"});
        let followed = (0..1000).take_while(|_| listing.add_page(page()).is_ok()).count();
        assert_eq!(followed, MAX_PAGES - 1);
    }

    #[test]
    fn page_collector_stops_at_max_list_size() {
        let mut listing = PageCollector::new(ListKind::Tools);
        let page = || json!({"tools": ["x".repeat(MAX_LIST_SIZE / 2)], "nextCursor": "more"});
        assert!(listing.add_page(page()).is_ok());
        assert!(matches!(listing.add_page(page()), Err(RequestError::ListTooLarge)));
        assert_eq!(listing.into_items().len(), 1, "the first page stays");
    }

    #[test]
    fn page_collector_stops_at_max_items() {
        let mut listing = PageCollector::new(ListKind::Prompts);
        let page = json!({"prompts": vec![0; MAX_ITEMS + 1], "nextCursor": "more"});
        assert!(matches!(listing.add_page(page), Err(RequestError::ListTooLarge)));
        assert_eq!(listing.into_items().len(), MAX_ITEMS);
    }
}
