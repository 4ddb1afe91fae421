//! Who answers for which account, and whom a gift, a clear and an end reach.

use std::collections::BTreeMap;
use std::time::SystemTime;

use valetkey_core::{ErrorKind, SessionAccount, SessionContext};

use super::account::{Account, Held};
use super::source::Source;

/// One session and what the model knows of it.
pub(super) struct Member {
    /// `None` once the last handle was dropped.
    pub(super) session: Option<SessionContext>,
    /// Its default account, lent; it keeps nothing open.
    pub(super) lent: SessionAccount,
    own: BTreeMap<usize, usize>,
    parent: Option<usize>,
    children: Vec<usize>,
    detached: bool,
    pub(super) closed: bool,
}

/// Every session there ever was, and every account; both are named by where they are.
#[derive(Default)]
pub(super) struct Families {
    pub(super) members: Vec<Member>,
    pub(super) accounts: Vec<Account>,
}

impl Families {
    /// Takes in a session, whose default account is its own.
    pub(super) fn take_in(&mut self, session: SessionContext, parent: Option<usize>) -> usize {
        let index = self.members.len();
        let lent = session.account(session.default_account()).unwrap();
        self.accounts.push(Account::default());
        self.members.push(Member {
            session: Some(session),
            lent,
            own: BTreeMap::from([(0, self.accounts.len() - 1)]),
            parent,
            children: Vec::new(),
            detached: false,
            closed: false,
        });
        if let Some(parent) = parent {
            self.members[parent].children.push(index);
        }
        index
    }

    /// The account that answers.
    pub(super) fn find(&self, member: usize, alias: usize) -> Result<usize, ErrorKind> {
        let it = &self.members[member];
        match (it.closed, it.own.get(&alias), it.parent) {
            (true, ..) => Err(ErrorKind::Closed),
            (_, Some(account), _) => Ok(*account),
            (_, _, Some(parent)) if !it.detached => self.find(parent, alias),
            _ => Err(ErrorKind::NotConfigured),
        }
    }

    /// The account that answers, if it is the session's own.
    pub(super) fn own(&self, member: usize, alias: usize) -> Option<usize> {
        self.members[member].own.get(&alias).copied()
    }

    fn make_own(&mut self, member: usize, alias: usize) -> usize {
        let next = self.accounts.len();
        let account = *self.members[member].own.entry(alias).or_insert(next);
        if account == next {
            self.accounts.push(Account::default());
        }
        account
    }

    pub(super) fn set(&mut self, member: usize, alias: usize, held: Held) {
        let account = self.make_own(member, alias);
        self.accounts[account].renew();
        self.accounts[account].set = true;
        self.accounts[account].publish(held);
        self.given(member);
    }

    pub(super) fn set_provider(&mut self, member: usize, alias: usize, provider: (usize, Source)) {
        let account = self.make_own(member, alias);
        self.accounts[account].void();
        self.accounts[account].provider = Some(provider);
        self.given(member);
    }

    /// A provider that a session was born with.
    pub(super) fn born_with(&mut self, member: usize, provider: (usize, Source)) {
        let account = self.make_own(member, 0);
        self.accounts[account].void();
        self.accounts[account].provider = Some(provider);
    }

    /// Something was given to a session: its accounts wake, and what was derived is void, down to the last child.
    fn given(&mut self, member: usize) {
        for account in self.own_accounts(member) {
            self.accounts[account].dormant = false;
        }
        self.void(member);
    }

    fn void(&mut self, member: usize) {
        for account in self.own_accounts(member) {
            self.accounts[account].void();
        }
        for child in self.members[member].children.clone() {
            self.void(child);
        }
    }

    pub(super) fn end(&mut self, member: usize, for_good: bool) {
        if self.members[member].closed {
            return;
        }
        self.members[member].closed = for_good;
        self.members[member].detached = true;
        for account in self.own_accounts(member) {
            self.accounts[account].wipe(for_good);
        }
        for child in self.members[member].children.clone() {
            self.end(child, for_good);
        }
    }

    pub(super) fn reject(&mut self, account: usize) {
        if let Some(held) = &mut self.accounts[account].held {
            held.dead = true;
        }
    }

    /// What may be served of an account without asking; looking at what has expired buries it.
    pub(super) fn look(&mut self, account: usize, now: SystemTime) -> Option<u64> {
        self.accounts[account].look(now);
        self.accounts[account].told(ErrorKind::Expired).ok()
    }

    fn own_accounts(&self, member: usize) -> Vec<usize> {
        self.members[member].own.values().copied().collect()
    }
}
