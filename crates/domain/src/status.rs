//! How far a text of ours has come. Callbacks arrive late, twice and in any order, so what is known is a
//! join: it only grows, and the order and repetition of reports cannot matter.

use serde::{Deserialize, Serialize};

/// A delivery status, in the total order by which the furthest one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// Accepted by us or by the provider, not yet on its way.
    Queued,
    /// The provider is sending it.
    Sending,
    /// The carrier has it.
    Sent,
    /// Canceled before it left.
    Canceled,
    /// It never left.
    Failed,
    /// The carrier could not deliver it.
    Undelivered,
    /// The handset has it.
    Delivered,
    /// The person has seen it.
    Read,
}

impl DeliveryStatus {
    const ALL: [Self; 8] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Canceled,
        Self::Failed,
        Self::Undelivered,
        Self::Delivered,
        Self::Read,
    ];

    /// The status Twilio calls by this name (`accepted` and `scheduled` are as good as `queued` to us).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "accepted" | "scheduled" => Some(Self::Queued),
            _ => Self::ALL.into_iter().find(|status| status.as_str() == name),
        }
    }

    /// The status's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
            Self::Undelivered => "undelivered",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// All that is known of a text's way, as the join of every report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    seen: u8,
    error: Option<(DeliveryStatus, u32)>,
}

/// How a text can end, each excluding the others.
const ENDS: [u8; 4] = [
    1 << (DeliveryStatus::Canceled as u8),
    1 << (DeliveryStatus::Failed as u8),
    1 << (DeliveryStatus::Undelivered as u8),
    1 << (DeliveryStatus::Delivered as u8) | 1 << (DeliveryStatus::Read as u8),
];

impl Progress {
    /// What one report says.
    pub fn of(status: DeliveryStatus, error_code: Option<u32>) -> Self {
        Self { seen: status.bit(), error: error_code.map(|code| (status, code)) }
    }

    /// What two pieces of knowledge say together: commutative, associative and idempotent.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { seen: self.seen | other.seen, error: self.error.max(other.error) }
    }

    /// The furthest status seen; a text nothing was heard of is queued.
    pub fn status(self) -> DeliveryStatus {
        DeliveryStatus::ALL
            .into_iter()
            .rev()
            .find(|status| self.seen & status.bit() != 0)
            .unwrap_or(DeliveryStatus::Queued)
    }

    /// The error code of the furthest report that had one.
    pub fn error_code(self) -> Option<u32> {
        self.error.map(|(_, code)| code)
    }

    /// Whether reports contradict each other: a text cannot both fail and arrive.
    pub fn conflict(self) -> bool {
        ENDS.iter().filter(|end| self.seen & **end != 0).count() > 1
    }

    /// For storage: the set of statuses seen, and the status the error code came with.
    pub fn to_stored(self) -> (u8, Option<(DeliveryStatus, u32)>) {
        (self.seen, self.error)
    }

    /// From storage.
    pub fn from_stored(seen: u8, error: Option<(DeliveryStatus, u32)>) -> Self {
        Self { seen, error }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report() -> impl Strategy<Value = Progress> {
        (0..8usize, proptest::option::of(30000..30010u32))
            .prop_map(|(i, code)| Progress::of(DeliveryStatus::ALL[i], code))
    }

    proptest! {
        #[test]
        fn order_and_repetition_of_reports_cannot_matter(
            reports in proptest::collection::vec(report(), 1..12),
            picks in proptest::collection::vec(0..100usize, 0..24),
        ) {
            let all = |reports: &[Progress]| reports.iter().fold(Progress::default(), |a, b| a.join(*b));
            let mut shuffled: Vec<_> = picks.iter().map(|i| reports[i % reports.len()]).collect();
            shuffled.extend(reports.iter().rev());
            prop_assert_eq!(all(&reports), all(&shuffled));
        }

        #[test]
        fn the_status_is_the_furthest_seen(reports in proptest::collection::vec(report(), 1..12)) {
            let joined = reports.iter().fold(Progress::default(), |a, b| a.join(*b));
            prop_assert_eq!(Some(joined.status()), reports.iter().map(|r| r.status()).max());
        }
    }

    #[test]
    fn a_late_sent_does_not_undo_delivered() {
        let delivered = Progress::of(DeliveryStatus::Delivered, None);
        assert_eq!(
            delivered.join(Progress::of(DeliveryStatus::Sent, None)).status(),
            DeliveryStatus::Delivered
        );
    }

    #[test]
    fn an_error_code_outlives_reports_without_one() {
        let failed = Progress::of(DeliveryStatus::Undelivered, Some(30003));
        let joined = failed.join(Progress::of(DeliveryStatus::Sent, None));
        assert_eq!((joined.error_code(), joined.conflict()), (Some(30003), false));
    }

    #[test]
    fn delivered_and_failed_contradict_each_other() {
        let both =
            Progress::of(DeliveryStatus::Failed, None).join(Progress::of(DeliveryStatus::Delivered, None));
        assert!(both.conflict());
        assert_eq!(both.status(), DeliveryStatus::Delivered);
    }

    #[test]
    fn twilios_words_for_not_yet_are_queued() {
        for name in ["queued", "accepted", "scheduled"] {
            assert_eq!(DeliveryStatus::parse(name), Some(DeliveryStatus::Queued));
        }
        assert_eq!(DeliveryStatus::parse("levitated"), None);
    }
}
