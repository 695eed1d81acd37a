//! A database that was brought back from a backup knows nothing of what happened since: texts it has as waiting may
//! have been sent, texts that it does not have may have been answered, numbers that are free may have been told.

use casewire_domain::MessageId;
use casewire_domain::case::{Trail, TrailEntry};
use casewire_domain::json::Json;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationTrait};
use serde_json::json;
use uuid::Uuid;

use crate::bulk::insert;
use crate::entity::{case_event, installation, message, outbox, uncount};
use crate::error::Error;
use crate::transaction::Tx;
use crate::{Store, reconciliation};

/// Case numbers passed over: more than are given between two backups of a night, so that none that a customer was told
/// becomes another customer's.
const NUMBERS_PASSED_OVER: i32 = 10_000;

/// Versions of the directory passed over: more changes than anybody makes between two backups. The board keeps the
/// version from before the restore, and takes none that is not newer.
const VERSIONS_PASSED_OVER: i64 = 1_000_000;

/// So much before the backup was taken the provider's list is compared from: clocks differ, and lists are late.
const OVERLAP: TimeDelta = TimeDelta::minutes(15);

impl Store {
    /// Says that this database is as it was when a backup was taken, `taken_at`; how many texts that were on their way
    /// then are uncertain now. In one transaction:
    ///
    /// - each text in the outbox may have been sent since, so that it is settled like one whose attempt was lost: by a
    ///   callback, by the provider's list, or by a person, and never sent again by itself unless that list is without
    ///   it and its line asks for that;
    /// - texts received up to now are not answered automatically any more;
    /// - case numbers and versions of the directory that may have been used since are passed over;
    /// - a worker is asked to compare the provider's list from then on.
    pub async fn mark_restored(&self, taken_at: DateTime<Utc>) -> Result<u64, Error> {
        self.in_tx(move |tx, inner| {
            Box::pin(async move {
                remember(tx).await?;
                tell_trail(tx).await?;
                let uncertain = hold_back(tx).await?;
                reconciliation::ask_from(tx, inner, taken_at - OVERLAP).await?;
                Ok(uncertain)
            })
        })
        .await
    }
}

async fn remember(tx: &Tx) -> Result<(), Error> {
    let (next, version) = (installation::Column::NextCaseNumber, installation::Column::DirectoryVersion);
    installation::Entity::update_many()
        .col_expr(installation::Column::RestoredAt, Expr::value(tx.at))
        .col_expr(next, Expr::col(next).add(NUMBERS_PASSED_OVER))
        .col_expr(version, Expr::col(version).add(VERSIONS_PASSED_OVER))
        .filter(installation::Column::Id.eq(1))
        .exec(&tx.connection)
        .await?;
    Ok(())
}

/// Notes in each case why its text waits.
async fn tell_trail(tx: &Tx) -> Result<(), Error> {
    let rows: Vec<(Uuid, Uuid, i32)> = message::Entity::find()
        .select_only()
        .columns([message::Column::CaseId, message::Column::Id])
        .column(outbox::Column::Attempt)
        .join(JoinType::InnerJoin, message::Relation::Outbox.def())
        .filter(message::Column::CaseId.is_not_null())
        .into_tuple()
        .all(&tx.connection)
        .await?;
    let entries = rows.into_iter().map(|(case_id, message, attempt)| TrailEntry {
        case_id: case_id.into(),
        actor: "casewire".into(),
        kind: Trail::SendUncertain,
        why: Json::of(json!({ "because": "restored" })),
        change: Json::of(json!({ "message": MessageId(message), "attempt": uncount(attempt) })),
        at: tx.at,
    });
    let entries = entries.map(case_event::ActiveModel::from).collect();
    insert(tx, entries, None).await
}

/// Makes every text on its way one that may have been sent at any time from its first attempt, or from when it was
/// queued, until now.
async fn hold_back(tx: &Tx) -> Result<u64, Error> {
    let since = "coalesce(searched_from, case when state = 'pending' then queued_at else attempted_at end, queued_at)";
    let never = || Expr::value(None::<DateTime<Utc>>);
    let held = outbox::Entity::update_many()
        .col_expr(outbox::Column::State, Expr::value("uncertain"))
        .col_expr(outbox::Column::SearchedFrom, Expr::cust(since))
        .col_expr(outbox::Column::AttemptedAt, Expr::value(tx.at))
        // Later texts of its conversation, which are of this life, do not wait for it.
        .col_expr(outbox::Column::DueAt, Expr::value(tx.at))
        .col_expr(outbox::Column::LeaseUntil, never())
        .col_expr(outbox::Column::Looks, Expr::value(0))
        .col_expr(outbox::Column::LookAt, never())
        .col_expr(outbox::Column::HeldAt, never())
        .exec(&tx.connection)
        .await?;
    Ok(held.rows_affected)
}
