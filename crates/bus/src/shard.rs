//! Which shard an event goes to.

/// The shard of a conversation: the same for the same line and peer, on every machine and in every version.
/// `peer` is the customer's address as it was sent; only this hash of it leaves ingest.
pub fn shard_of(line: &str, peer: &str, shards: u32) -> u32 {
    // A zero byte, which is in neither, keeps ("ab", "c") from meeting ("a", "bc").
    let bytes = line.bytes().chain([0]).chain(peer.bytes());
    let hash = spread(bytes.fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)));
    // Always below `shards`, so it fits.
    u32::try_from(hash % u64::from(shards.max(1))).unwrap_or_default()
}

/// FNV-1a: ours to keep, where the standard library's hash may change with any release.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Mixes the high bits into the low ones (the end of MurmurHash3), which FNV alone leaves poorly spread for inputs
/// that differ in their last digits, as phone numbers do.
fn spread(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_keeps_its_shard_in_every_version() {
        let pinned =
            [("demo", "+12065550100"), ("demo", "+12065550101"), ("", ""), ("zoë", "whatsapp:+491510000000")]
                .map(|(line, peer)| shard_of(line, peer, 1000));
        assert_eq!(pinned, [605, 757, 267, 29]);
    }

    #[test]
    fn neighbouring_numbers_spread_evenly() {
        let mut counts = [0_u32; 4];
        for number in 0..4000 {
            let shard = shard_of("demo", &format!("+1206555{number:04}"), 4);
            counts[usize::try_from(shard).expect("small")] += 1;
        }
        assert!(counts.iter().all(|count| (900..=1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn where_the_line_ends_matters() {
        assert_ne!(shard_of("ab", "c", 1_000_000), shard_of("a", "bc", 1_000_000));
    }

    #[test]
    fn without_shards_there_is_one() {
        assert_eq!(shard_of("demo", "+12065550100", 0), 0);
    }
}
