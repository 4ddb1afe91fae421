//! The loss of a gateway, and of Redis, while a session is opened, used, set, rotated, cleared and closed, and just after.
//!
//! | point | at the fault |
//! |---|---|
//! | request held | the operation has not reached Redis; it arrives afterwards |
//! | response held | Redis has executed it; the gateway never receives the response |
//! | confirmed | the client has the result |

use std::cell::Cell;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::timeout;
use valetkey::ExposeSecret;
use valetkey::store::KeyRing;
use valetkey_rig::Redis;

use super::store_relay::{HoldPoint, Operation, StoreRelay};
use super::{
    ALICE, BOB, STORE, check, create, create_as, is_outage, keys, poll, result, set, settings_with_ring,
    state, state_as, try_set, until_state, with_session,
};
use crate::program_fixture::ProgramFixture;
use crate::serve::http::{HttpGatewayFixture, PRINCIPALS};
use crate::serve::shutdown::send_signal;

/// Reached only if the gateways do not agree.
const HANG_TIMEOUT: Duration = Duration::from_secs(120);
/// The gateway that makes the operation, and is lost in some cases.
const VICTIM: usize = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    GatewayKilled,
    RedisKilled,
    RedisPaused,
    RedisRestarted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Create,
    Call,
    Set,
    Rotate,
    Clear,
    Close,
}

const STEPS: [Step; 6] = [Step::Create, Step::Call, Step::Set, Step::Rotate, Step::Clear, Step::Close];
const POINTS: [Option<HoldPoint>; 3] = [Some(HoldPoint::Request), Some(HoldPoint::Response), None];

/// One step with one fault. Each case has keys of its own.
#[derive(Debug)]
struct Case {
    fault: Fault,
    step: Step,
    point: Option<HoldPoint>,
    number: usize,
}

impl Case {
    fn key(&self, letter: char) -> String {
        format!("{letter}{:03}", self.number)
    }

    /// The state of the session before the step.
    fn before(&self) -> String {
        match self.step {
            Step::Create | Step::Set => "not_configured".to_owned(),
            _ => self.key('A'),
        }
    }

    /// The state of the session after the step.
    fn after(&self) -> String {
        match self.step {
            Step::Call => self.key('A'),
            Step::Set | Step::Rotate => self.key('B'),
            Step::Create | Step::Clear => "not_configured".to_owned(),
            Step::Close => "closed".to_owned(),
        }
    }

    /// What the gateway that has confirmed the step makes of the session while Redis is lost.
    fn without_redis(&self) -> String {
        match (self.step, self.fault) {
            (Step::Close, Fault::RedisPaused) => "timed_out".to_owned(),
            (Step::Close, _) => "unavailable".to_owned(),
            _ => self.after(),
        }
    }

    /// The states in which all gateways may agree. A change whose outcome is unknown has happened, or has not.
    fn allowed(&self, is_confirmed: bool) -> Vec<String> {
        let is_stored = self.point == Some(HoldPoint::Response);
        // The gateway that was called repeats a clear and a close until Redis has them.
        let is_repeated =
            matches!(self.step, Step::Clear | Step::Close) && self.fault != Fault::GatewayKilled;
        if is_confirmed || is_stored || is_repeated {
            vec![self.after()]
        } else {
            vec![self.before(), self.after()]
        }
    }

    /// The operation of the store by which the step is recognized.
    const fn operation(&self) -> Operation {
        let (request, response) = match self.step {
            Step::Create => ("{'exists'}", "done"),
            Step::Call => ("HSTRLEN", "record"),
            Step::Set | Step::Rotate | Step::Clear => ("ARGV[6] == 'cleared'", "done"),
            Step::Close => ("'c', 'closed'", "done"),
        };
        Operation { request, response }
    }

    fn tool_call(&self, session: &str) -> (&'static str, Value) {
        let (tool, arguments) = match self.step {
            Step::Create => return ("create_credential_session", json!({})),
            Step::Call => ("get_aws_credentials_context", json!({})),
            Step::Set | Step::Rotate => ("set_aws_credentials_context", keys(&self.key('B'))),
            Step::Clear => ("clear_credential_context", json!({})),
            Step::Close => ("close_credential_session", json!({})),
        };
        (tool, with_session(session, arguments))
    }
}

struct Node {
    files: ProgramFixture,
    relay: StoreRelay,
    gateway: HttpGatewayFixture,
}

/// Three gateways, a session that no step concerns, and one of another principal.
struct FaultFleet {
    redis: Redis,
    nodes: Vec<Node>,
    kept: String,
    of_bob: String,
}

impl FaultFleet {
    async fn start() -> Self {
        let redis = Redis::start(&[]).await.unwrap();
        let ring = KeyRing::generate().unwrap().expose_document();
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let relay = StoreRelay::start(redis.port()).await;
            let settings = format!("{PRINCIPALS}{STORE}");
            let files = settings_with_ring(&relay.url(), ring.expose_secret(), &settings);
            let gateway = HttpGatewayFixture::start(&files, &[]).await;
            nodes.push(Node { files, relay, gateway });
        }
        let kept = create(&nodes[0].gateway).await;
        let of_bob = create_as(&nodes[0].gateway, BOB).await;
        let set_of_bob = with_session(&of_bob, keys("BOBS"));
        let is_set = nodes[0].gateway.call(BOB, "set_aws_credentials_context", set_of_bob).await;
        check(&result(is_set)).unwrap();
        Self { redis, nodes, kept, of_bob }
    }

    /// Makes the step on the victim with the fault, and checks what all gateways make of the session afterwards.
    async fn run(&mut self, case: &Case) {
        let mut session = String::new();
        if case.step != Step::Create {
            session = create(&self.nodes[0].gateway).await;
            if case.step != Step::Set {
                set(&self.nodes[0].gateway, &session, &case.key('A')).await;
            }
        }
        let outcome = self.step_with_fault(case, &session).await;
        if case.step == Step::Create {
            let Some(Ok(created)) = outcome else { return };
            session = created["structuredContent"]["credential_session"].as_str().unwrap().to_owned();
            return self.check_session(case, &session, &[case.after()]).await;
        }
        let is_confirmed = matches!(outcome, Some(Ok(_)));
        self.check_session(case, &session, &case.allowed(is_confirmed)).await;
    }

    /// Returns the result of the call, or `None` if the gateway was killed before.
    async fn step_with_fault(&mut self, case: &Case, session: &str) -> Option<Result<Value, String>> {
        let (tool, arguments) = case.tool_call(session);
        let victim = &self.nodes[VICTIM];
        let held = case.point.map(|point| victim.relay.hold(case.operation(), point));
        let has_begun = Cell::new(false);
        let call = async {
            loop {
                let result_of_call = result(victim.gateway.try_call(ALICE, tool, arguments.clone()).await?);
                match check(&result_of_call) {
                    // The gateway was still connecting, so it has made no operation.
                    Err(code) if is_outage(&code) && !has_begun.get() => {}
                    checked => return Some(checked.map(|()| result_of_call)),
                }
            }
        };
        let (pid, redis) = (victim.gateway.pid(), &mut self.redis);
        let outcome = match held {
            Some(mut held) => {
                let fault = async {
                    held.reached().await;
                    has_begun.set(true);
                    begin_fault(case.fault, redis, pid).await;
                    drop(held);
                };
                tokio::join!(call, fault).0
            }
            None => {
                let outcome = call.await;
                assert!(matches!(outcome, Some(Ok(_))), "{case:?}: {outcome:?}");
                begin_fault(case.fault, redis, pid).await;
                if case.fault != Fault::GatewayKilled && case.step != Step::Create {
                    // Without Redis, the gateway goes on with what it has.
                    assert_eq!(state(&victim.gateway, session).await, case.without_redis(), "{case:?}");
                }
                outcome
            }
        };
        match case.fault {
            Fault::GatewayKilled => self.replace_victim().await,
            Fault::RedisKilled | Fault::RedisRestarted => self.redis.restart().await.unwrap(),
            Fault::RedisPaused => self.redis.resume().await.unwrap(),
        }
        outcome
    }

    async fn replace_victim(&mut self) {
        let Node { files, relay, gateway } = self.nodes.remove(VICTIM);
        assert_eq!(gateway.wait().await, None);
        let gateway = HttpGatewayFixture::start(&files, &[]).await;
        self.nodes.insert(VICTIM, Node { files, relay, gateway });
    }

    /// All gateways agree on one of the allowed states, and stay there.
    async fn check_session(&self, case: &Case, session: &str, allowed: &[String]) {
        let agreed = self.agree(case, session, allowed).await;
        // A change that all gateways have read comes after all earlier ones.
        let marker = case.key('M');
        set(&self.nodes[0].gateway, &self.kept, &marker).await;
        for node in &self.nodes {
            until_state(&node.gateway, &self.kept, &marker).await;
            let states = [(ALICE, session, &*agreed), (BOB, session, "closed"), (BOB, &*self.of_bob, "BOBS")];
            for (token, session, expected) in states {
                let found = state_after_outage(&node.gateway, token, session).await;
                assert_eq!(found, expected, "{case:?} {token:?}");
            }
        }
        let next = case.key('Z');
        for node in self.nodes.iter().rev() {
            if agreed == "closed" {
                assert_eq!(try_set(&node.gateway, session, &next).await, Err(agreed.clone()), "{case:?}");
            } else {
                set(&node.gateway, session, &next).await;
            }
        }
    }

    async fn agree(&self, case: &Case, session: &str, allowed: &[String]) -> String {
        loop {
            let mut states = Vec::new();
            for node in &self.nodes {
                let state = state(&node.gateway, session).await;
                let is_known = state == case.before() || state == case.after() || is_outage(&state);
                assert!(is_known, "{case:?}: {state}");
                states.push(state);
            }
            let first = states.swap_remove(0);
            if allowed.contains(&first) && states.iter().all(|state| *state == first) {
                return first;
            }
        }
    }
}

/// Returns the state of a session as soon as the gateway knows it. It may still be saving a clear.
async fn state_after_outage(gateway: &HttpGatewayFixture, token: Option<&str>, session: &str) -> String {
    poll("state", async || {
        let found = state_as(gateway, token, session).await;
        if is_outage(&found) { Err(found) } else { Ok(found) }
    })
    .await
}

async fn begin_fault(fault: Fault, redis: &mut Redis, gateway: u32) {
    match fault {
        Fault::GatewayKilled => send_signal(Signal::KILL, gateway),
        Fault::RedisKilled => redis.kill().await.unwrap(),
        Fault::RedisPaused => redis.pause().await.unwrap(),
        Fault::RedisRestarted => {
            let _closed = redis.command(&["SHUTDOWN"]).await;
            while redis.command(&["PING"]).await.is_ok() {}
        }
    }
}

async fn run_all(fault: Fault) {
    let mut fleet = FaultFleet::start().await;
    let cases = STEPS.iter().flat_map(|step| POINTS.map(|point| (*step, point)));
    for (number, (step, point)) in cases.enumerate() {
        let case = Case { fault, step, point, number };
        let checked = timeout(HANG_TIMEOUT, fleet.run(&case)).await;
        checked.unwrap_or_else(|_| panic!("{case:?}: the gateways do not agree"));
    }
    for node in fleet.nodes {
        node.gateway.stop().await;
    }
    fleet.redis.stop().await.unwrap();
}

#[tokio::test]
async fn gateway_killed_in_each_step_keeps_sessions() {
    run_all(Fault::GatewayKilled).await;
}

#[tokio::test]
async fn redis_killed_in_each_step_keeps_sessions() {
    run_all(Fault::RedisKilled).await;
}

#[tokio::test]
async fn redis_paused_in_each_step_keeps_sessions() {
    run_all(Fault::RedisPaused).await;
}

#[tokio::test]
async fn redis_restarted_in_each_step_keeps_sessions() {
    run_all(Fault::RedisRestarted).await;
}
