//! Waits for a clock, or for descriptors, which are always ready.

use std::time::{Duration, Instant};

use super::descriptor::Descriptor;
use super::errno::{Errno, Result0};
use super::frame::{Frame, Version};
use super::memory::room;
use super::process::{MONOTONIC, REALTIME, now};

const MAX_SUBSCRIPTIONS: u32 = 1024;

/// `eventtype` of preview 1.
const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

/// One condition that a plugin waits for.
struct Subscription {
    user_data: u64,
    event_type: u8,
    /// The time until it is met, or the error of a condition that cannot be.
    wait: Result<Duration, Errno>,
    /// The other end is gone: standard input is always at its end.
    hang_up: bool,
}

pub(crate) fn poll_oneoff(frame: Frame<'_>, subscriptions: u32, events: u32, count: u32, ready: u32) -> Result0 {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::INVAL);
    }
    let mut all = room(count as usize)?;
    for index in 0..count {
        all.push(subscription(&frame, subscriptions, index)?);
    }
    // A subscription with an error is an event at once.
    let wait = |subscription: &Subscription| *subscription.wait.as_ref().unwrap_or(&Duration::ZERO);
    let shortest = all.iter().map(wait).min().unwrap_or_default();
    if !shortest.is_zero() {
        frame.watch.wait(Instant::now().checked_add(shortest), || false);
    }
    let mut happened = 0;
    for subscription in all.iter().filter(|subscription| wait(subscription) <= shortest) {
        let mut event = [0; 32];
        event[..8].copy_from_slice(&subscription.user_data.to_le_bytes());
        if let Err(errno) = subscription.wait {
            event[8..10].copy_from_slice(&errno.number().to_le_bytes());
        }
        event[10] = subscription.event_type;
        event[24] = u8::from(subscription.hang_up);
        frame.memory.write(events.checked_add(happened * 32).ok_or(Errno::FAULT)?, &event)?;
        happened += 1;
    }
    frame.memory.write_u32(ready, happened)
}

fn subscription(frame: &Frame<'_>, at: u32, index: u32) -> Result<Subscription, Errno> {
    // In preview 0, the clock's data begin with another identifier.
    let (size, identifier) = if frame.version == Version::Preview0 { (56, 8) } else { (48, 0) };
    let at = at.checked_add(index * size).ok_or(Errno::FAULT)?;
    frame.memory.range(at, size)?;
    let user_data = u64::from_le_bytes(frame.memory.read(at)?);
    let [event_type] = frame.memory.read(at + 8)?;
    let mut hang_up = false;
    let wait = match event_type {
        CLOCK => {
            let clock = at + 16 + identifier;
            let id = u32::from_le_bytes(frame.memory.read(clock)?);
            let timeout = u64::from_le_bytes(frame.memory.read(clock + 8)?);
            let flags = u16::from_le_bytes(frame.memory.read(clock + 24)?);
            time_left(id, timeout, flags & 1 != 0)
        }
        READ | WRITE => {
            let fd = u32::from_le_bytes(frame.memory.read(at + 16)?);
            let descriptor = frame.descriptors.get(fd);
            hang_up = event_type == READ && matches!(descriptor, Ok(Descriptor::Input));
            match (descriptor, event_type) {
                (Ok(Descriptor::Input), WRITE) | (Ok(Descriptor::Output(_)), READ) | (Err(_), _) => Err(Errno::BADF),
                _ => Ok(Duration::ZERO),
            }
        }
        _ => return Err(Errno::INVAL),
    };
    Ok(Subscription { user_data, event_type, wait, hang_up })
}

fn time_left(clock: u32, timeout: u64, absolute: bool) -> Result<Duration, Errno> {
    if clock != REALTIME && clock != MONOTONIC {
        return Err(Errno::INVAL);
    }
    let left = if absolute { timeout.saturating_sub(now(clock)?) } else { timeout };
    Ok(Duration::from_nanos(left))
}
