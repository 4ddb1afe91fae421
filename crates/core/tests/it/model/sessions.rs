//! Which session's account serves a call, and which sessions are reached by set credentials, a clear and a close.

use std::collections::BTreeMap;
use std::time::SystemTime;

use valetkey_core::{ErrorKind, SessionAccount, SessionContext};

use super::account::{ModelAccount, ModelCredentials};
use super::source::ModelProvider;

/// One session and what the model knows of it.
pub(super) struct ModelSession {
    /// `None` once the last handle was dropped.
    pub(super) session: Option<SessionContext>,
    /// Its default account, lent; it keeps nothing open.
    pub(super) account: SessionAccount,
    own_accounts: BTreeMap<usize, usize>,
    parent: Option<usize>,
    children: Vec<usize>,
    inherits_nothing: bool,
    pub(super) closed: bool,
}

/// Every session there ever was, and every account; both are named by where they are.
#[derive(Default)]
pub(super) struct ModelSessions {
    pub(super) sessions: Vec<ModelSession>,
    pub(super) accounts: Vec<ModelAccount>,
}

impl ModelSessions {
    /// Takes in a session, whose default account is its own.
    pub(super) fn add_session(&mut self, session: SessionContext, parent: Option<usize>) -> usize {
        let index = self.sessions.len();
        let lent = session.account(session.default_account()).unwrap();
        self.accounts.push(ModelAccount::default());
        self.sessions.push(ModelSession {
            session: Some(session),
            account: lent,
            own_accounts: BTreeMap::from([(0, self.accounts.len() - 1)]),
            parent,
            children: Vec::new(),
            inherits_nothing: false,
            closed: false,
        });
        if let Some(parent) = parent {
            self.sessions[parent].children.push(index);
        }
        index
    }

    /// The account that serves `alias` in this session: its own, or an inherited one.
    pub(super) fn find_account(&self, member: usize, alias: usize) -> Result<usize, ErrorKind> {
        let session = &self.sessions[member];
        match (session.closed, session.own_accounts.get(&alias), session.parent) {
            (true, ..) => Err(ErrorKind::Closed),
            (_, Some(account), _) => Ok(*account),
            (_, _, Some(parent)) if !session.inherits_nothing => self.find_account(parent, alias),
            _ => Err(ErrorKind::NotConfigured),
        }
    }

    /// The session's own account for `alias`, if it has one.
    pub(super) fn own_account(&self, member: usize, alias: usize) -> Option<usize> {
        self.sessions[member].own_accounts.get(&alias).copied()
    }

    fn get_or_create_own(&mut self, member: usize, alias: usize) -> usize {
        let next = self.accounts.len();
        let account = *self.sessions[member].own_accounts.entry(alias).or_insert(next);
        if account == next {
            self.accounts.push(ModelAccount::default());
        }
        account
    }

    pub(super) fn set_credentials(&mut self, member: usize, alias: usize, held: ModelCredentials) {
        let account = self.get_or_create_own(member, alias);
        self.accounts[account].advance_epoch();
        self.accounts[account].manually_set = true;
        self.accounts[account].publish(held);
        self.resume_and_invalidate(member);
    }

    pub(super) fn set_provider(&mut self, member: usize, alias: usize, provider: (usize, ModelProvider)) {
        let account = self.get_or_create_own(member, alias);
        self.accounts[account].invalidate_issued();
        self.accounts[account].provider = Some(provider);
        self.resume_and_invalidate(member);
    }

    /// A provider that a session was born with.
    pub(super) fn set_initial_provider(&mut self, member: usize, provider: (usize, ModelProvider)) {
        let account = self.get_or_create_own(member, 0);
        self.accounts[account].invalidate_issued();
        self.accounts[account].provider = Some(provider);
    }

    /// Something was given to a session: its accounts wake, and what was derived is void, down to the last child.
    fn resume_and_invalidate(&mut self, member: usize) {
        for account in self.own_accounts(member) {
            self.accounts[account].suspended = false;
        }
        self.invalidate_issued(member);
    }

    fn invalidate_issued(&mut self, member: usize) {
        for account in self.own_accounts(member) {
            self.accounts[account].invalidate_issued();
        }
        for child in self.sessions[member].children.clone() {
            self.invalidate_issued(child);
        }
    }

    pub(super) fn clear_or_close(&mut self, member: usize, for_good: bool) {
        if self.sessions[member].closed {
            return;
        }
        self.sessions[member].closed = for_good;
        self.sessions[member].inherits_nothing = true;
        for account in self.own_accounts(member) {
            self.accounts[account].clear(for_good);
        }
        for child in self.sessions[member].children.clone() {
            self.clear_or_close(child, for_good);
        }
    }

    pub(super) fn mark_rejected(&mut self, account: usize) {
        if let Some(held) = &mut self.accounts[account].current {
            held.unusable = true;
        }
    }

    /// What may be served of an account without asking; looking at what has expired buries it.
    pub(super) fn observe_current(&mut self, account: usize, now: SystemTime) -> Option<u64> {
        self.accounts[account].observe_freshness(now);
        self.accounts[account].current_or(ErrorKind::Expired).ok()
    }

    fn own_accounts(&self, member: usize) -> Vec<usize> {
        self.sessions[member].own_accounts.values().copied().collect()
    }
}
