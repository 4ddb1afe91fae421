//! The scripts that the server runs: each operation on a record is one, and therefore atomic.
//!
//! A record is a hash: generation `g`, frame `r`, generation of the last clear `c`, idle time `i` and deadline `d` in milliseconds, and the lease (`ln`: node,
//! `lu`: its end). A closed record is a hash with `x` alone. Generations are compared as text: a number of the scripting
//! language is exact up to 2^53 only. Times are those of the server.

use ::redis::{Cmd, FromRedisValue, ParsingError, Value, cmd};

use crate::{Lease, LeaseOutcome, RecordError, RecordGeneration, SealedRecord, StoreError};

/// A script, and what it may do when the server is out of memory or a replica.
pub(super) struct Script {
    header: &'static str,
    body: &'static str,
}

const NOW: &str = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)\n";
const WRITES: &str = "#!lua\n";
/// For what frees memory, or needs none: it also runs when the server is out of memory.
const FREES: &str = "#!lua flags=allow-oom\n";
const READS: &str = "#!lua flags=no-writes\n";

impl Script {
    /// Returns the call of the script on `keys`, to which its arguments are added.
    pub(super) fn on(&self, keys: &[String]) -> Cmd {
        let Self { header, body } = self;
        let mut command = cmd("EVAL");
        command.arg(format!("{header}{NOW}{body}")).arg(keys.len()).arg(keys);
        command
    }
}

/// Arguments: generation, frame, idle time, total time.
pub(super) const CREATE: Script = Script {
    header: WRITES,
    body: "
if redis.call('EXISTS', KEYS[1]) == 1 then
  local have = redis.call('HMGET', KEYS[1], 'g', 'r')
  if have[1] == ARGV[1] and have[2] == ARGV[2] then return {'done'} end
  return {'exists'}
end
redis.call('HSET', KEYS[1], 'g', ARGV[1], 'r', ARGV[2], 'i', ARGV[3], 'd', string.format('%.0f', now + ARGV[4]))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(ARGV[3], ARGV[4])))
return {'done'}",
};

/// Argument: the largest size of a frame. An oversized one does not cross the network.
pub(super) const LOAD: Script = Script {
    header: READS,
    body: "
local generation = redis.call('HGET', KEYS[1], 'g')
if not generation then return {'none'} end
if redis.call('HSTRLEN', KEYS[1], 'r') > tonumber(ARGV[1]) then return {'oversized'} end
return {'record', generation, redis.call('HGET', KEYS[1], 'r') or ''}",
};

/// Arguments: expected generation, generation, frame, events to keep, id, change.
const SAVE_BODY: &str = "
local have = redis.call('HMGET', KEYS[1], 'g', 'r')
if not have[1] then return {'none'} end
if have[1] == ARGV[2] and have[2] == ARGV[3] then return {'done'} end
if have[1] ~= ARGV[1] then return {'superseded', have[1]} end
redis.call('HSET', KEYS[1], 'g', ARGV[2], 'r', ARGV[3])
if ARGV[6] == 'cleared' then redis.call('HSET', KEYS[1], 'c', ARGV[2]) end
redis.call('HDEL', KEYS[1], 'ln', 'lu')
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 's', ARGV[5], 'c', ARGV[6], 'g', ARGV[2])
return {'done'}";
pub(super) const SAVE: Script = Script { header: WRITES, body: SAVE_BODY };
/// A clear is stored even when the server is out of memory: it removes credentials.
pub(super) const SAVE_CLEARED: Script = Script { header: FREES, body: SAVE_BODY };

pub(super) const TOUCH: Script = Script {
    header: FREES,
    body: "
local have = redis.call('HMGET', KEYS[1], 'i', 'd')
if not have[1] then return {'none'} end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(have[1], have[2] - now)))
return {'done'}",
};

/// Arguments: events to keep, id. The id stays closed for an hour, or until the record would have ended in any case.
pub(super) const CLOSE: Script = Script {
    header: FREES,
    body: "
local keep = math.max(3600000, (redis.call('HGET', KEYS[1], 'd') or 0) - now, redis.call('PTTL', KEYS[1]))
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'x', '1')
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', keep))
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 's', ARGV[2], 'c', 'closed')
return {'done'}",
};

/// Arguments: expected generation, node, lifetime.
pub(super) const LEASE: Script = Script {
    header: WRITES,
    body: "
local have = redis.call('HMGET', KEYS[1], 'g', 'ln', 'lu')
if not have[1] then return {'none'} end
if have[1] ~= ARGV[1] then return {'superseded', have[1]} end
if have[2] and have[2] ~= ARGV[2] and tonumber(have[3]) > now then
  return {'held', string.format('%.0f', have[3] - now)}
end
redis.call('HSET', KEYS[1], 'ln', ARGV[2], 'lu', string.format('%.0f', now + ARGV[3]))
return {'done'}",
};

/// Arguments: generation, node.
pub(super) const RELEASE: Script = Script {
    header: FREES,
    body: "
local have = redis.call('HMGET', KEYS[1], 'g', 'ln')
if have[1] == ARGV[1] and have[2] == ARGV[2] then redis.call('HDEL', KEYS[1], 'ln', 'lu') end
return {'done'}",
};

/// Argument: the last entry that was read, or `0-0`. Returns whether no later entry was trimmed, and the later entries. The
/// stream is complete if it still has the entry that was read, or if it has every entry that was ever added.
pub(super) const EVENTS: Script = Script {
    header: READS,
    body: "
local complete = 0
if ARGV[1] == '0-0' then
  local info = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XINFO', 'STREAM', KEYS[1]) or {}
  local field = {}
  for at = 1, #info, 2 do field[info[at]] = info[at + 1] end
  if field['length'] == field['entries-added'] then complete = 1 end
else
  complete = #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
end
return {complete, redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', 1000)}",
};

/// What a script returned: a word, and what belongs to it.
pub(super) struct ScriptReply {
    word: String,
    rest: Vec<Vec<u8>>,
}

impl FromRedisValue for ScriptReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Vec<u8>>::from_redis_value(value)?.into_iter();
        let word = parts.next().unwrap_or_default();
        Ok(Self { word: String::from_utf8_lossy(&word).into_owned(), rest: parts.collect() })
    }
}

impl ScriptReply {
    pub(super) fn into_done(self) -> Result<(), StoreError> {
        if self.word == "done" { Ok(()) } else { Err(self.into_error()) }
    }

    pub(super) fn into_record(mut self) -> Result<SealedRecord, StoreError> {
        if self.word != "record" {
            return Err(self.into_error());
        }
        let generation = self.number(0).map(RecordGeneration::new)?;
        let frame = self.rest.get_mut(1).map(std::mem::take).ok_or(StoreError::Unexpected)?;
        Ok(SealedRecord::from_frame(generation, frame)?)
    }

    pub(super) fn into_lease(self, wanted: Lease) -> Result<LeaseOutcome, StoreError> {
        match self.word.as_str() {
            "done" => Ok(LeaseOutcome::Granted(wanted)),
            "held" => {
                let remaining = std::time::Duration::from_millis(self.number(0)?);
                Ok(LeaseOutcome::Held { remaining })
            }
            _ => Err(self.into_error()),
        }
    }

    fn into_error(self) -> StoreError {
        match self.word.as_str() {
            "none" => StoreError::NoSession,
            "exists" => StoreError::Exists,
            "oversized" => StoreError::Record(RecordError::Oversized),
            "superseded" => self.number(0).map_or(StoreError::Unexpected, |current| StoreError::Superseded {
                current: RecordGeneration::new(current),
            }),
            _ => StoreError::Unexpected,
        }
    }

    fn number(&self, index: usize) -> Result<u64, StoreError> {
        let text = self.rest.get(index).and_then(|part| std::str::from_utf8(part).ok());
        text.and_then(|text| text.parse().ok()).ok_or(StoreError::Unexpected)
    }
}
