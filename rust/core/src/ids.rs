//! Job ids: `UUIDv7` (RFC 9562), so that ids rise with time and the primary key grows at its right edge.

use uuid::Uuid;

/// New ids, 36 characters each, rising within this process even inside a millisecond: ties in a queue stay first in, first out.
#[must_use]
pub fn new_ids(count: usize) -> Vec<String> {
    (0..count).map(|_| Uuid::now_v7().hyphenated().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise() {
        let ids = new_ids(10_000);
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'7'));
    }
}
