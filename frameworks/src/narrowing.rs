//! `Narrowing`: which policies apply to a call, by how deep its agent was delegated to and by the scopes of its user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use valetkey::tools::ToolSet;
use valetkey::{AccessScope, Result, SessionContext, SessionId, SessionPolicy};

use crate::no_session;

/// Policies that narrow the session of a call by itself, so that no agent has to request it (default: none). AWS enforces
/// them: a call is allowed what every policy of its conditions allows.
///
/// # Examples
/// ```
/// use valetkey::SessionPolicy;
/// use valetkey_frameworks::Narrowing;
///
/// // Agents that another agent called can only read, and only logs without the scope `aws:data`.
/// let narrowing = Narrowing::new()
///     .delegated(1, SessionPolicy::read_only(["s3", "logs"])?)
///     .without_scope("aws:data", SessionPolicy::read_only(["logs"])?);
/// # Ok::<_, valetkey::Error>(())
/// ```
#[must_use]
#[derive(Debug, Clone, Default)]
pub struct Narrowing {
    rules: Vec<(Condition, SessionPolicy)>,
    /// The sessions that were narrowed by these rules. Shared by clones until a rule is added.
    narrowed: Arc<Mutex<HashMap<NarrowedKey, Narrowed>>>,
}

#[derive(Debug, Clone)]
enum Condition {
    Delegated { min_depth: u32 },
    WithoutScope(String),
}

/// A session, and the rules by which it is narrowed.
type NarrowedKey = (SessionId, Vec<usize>);

#[derive(Debug, Clone)]
struct Narrowed {
    tools: ToolSet,
    /// One session for each rule, each narrowed from the one before. A session ends when its last handle is dropped.
    _sessions: Vec<SessionContext>,
}

impl Narrowing {
    /// Creates a narrowing without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Narrows the session of an agent that was called by another agent, at this depth of delegation or deeper. 1 is an
    /// agent that the first agent has called.
    pub fn delegated(self, min_depth: u32, policy: SessionPolicy) -> Self {
        self.rule(Condition::Delegated { min_depth }, policy)
    }

    /// Narrows the session of a user who was not granted a scope.
    pub fn without_scope(self, scope: impl Into<String>, policy: SessionPolicy) -> Self {
        self.rule(Condition::WithoutScope(scope.into()), policy)
    }

    fn rule(mut self, condition: Condition, policy: SessionPolicy) -> Self {
        self.rules.push((condition, policy));
        // A clone with other rules has other sessions.
        self.narrowed = Arc::default();
        self
    }

    /// Returns the tools of a call: `tools`, or those of its session narrowed by every rule that applies. Calls of the same
    /// session to which the same rules apply share a narrowed session, and its credentials.
    ///
    /// # Errors
    /// `NotConfigured` for tools without a session; those of [`SessionContext::narrow`], such as `Invalid` if the
    /// credentials of the session cannot be narrowed. The call must then be refused.
    pub fn apply(&self, tools: ToolSet, depth: u32, scopes: &[String]) -> Result<ToolSet> {
        let applies = |condition: &Condition| match condition {
            Condition::Delegated { min_depth } => depth >= *min_depth,
            Condition::WithoutScope(scope) => !scopes.contains(scope),
        };
        let rules = self.rules.iter().enumerate().filter(|(_, (condition, _))| applies(condition));
        let rules: Vec<usize> = rules.map(|(index, _)| index).collect();
        if rules.is_empty() {
            return Ok(tools);
        }
        let session = tools.session().ok_or_else(no_session)?;
        let key = (session.id(), rules);
        if let Some(found) = self.find(&key) {
            return Ok(found);
        }
        let narrowed = self.narrow(session, &key.1)?;
        // Another call may have narrowed it meanwhile; both sets of tools are valid.
        let mut all = self.lock();
        all.retain(|_, narrowed| is_open(&narrowed.tools));
        Ok(all.entry(key).or_insert(narrowed).tools.clone())
    }

    fn find(&self, key: &NarrowedKey) -> Option<ToolSet> {
        self.lock().get(key).map(|narrowed| narrowed.tools.clone()).filter(is_open)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NarrowedKey, Narrowed>> {
        self.narrowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn narrow(&self, session: &SessionContext, rules: &[usize]) -> Result<Narrowed> {
        let mut sessions = vec![session.clone()];
        for (_, policy) in rules.iter().filter_map(|index| self.rules.get(*index)) {
            let parent = sessions.last().unwrap_or(session);
            sessions.push(parent.narrow(AccessScope::new().policy(policy.clone()))?);
        }
        let tools = ToolSet::for_session(sessions.last().unwrap_or(session).clone());
        // A session that is not narrowed stays with the host, which may close it.
        sessions.remove(0);
        Ok(Narrowed { tools, _sessions: sessions })
    }
}

fn is_open(tools: &ToolSet) -> bool {
    tools.session().is_some_and(|session| !session.is_closed())
}
