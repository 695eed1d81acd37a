//! What must be known around a text that is being settled: its conversation, and texts that look like it.

use std::collections::BTreeSet;

use casewire_domain::plan::Keys;
use casewire_domain::state::State;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::entity::message;
use crate::error::Error;
use crate::transaction::Tx;

/// The conversations of the texts.
pub(super) async fn lanes(tx: &Tx, keys: &Keys<'_>) -> Result<Vec<Uuid>, Error> {
    if keys.settling.is_empty() {
        return Ok(Vec::new());
    }
    let lanes = message::Entity::find()
        .select_only()
        .column(message::Column::ConversationId)
        .filter(message::Column::Id.is_in(keys.settling.iter().map(|id| id.0)))
        .distinct()
        .into_tuple();
    Ok(lanes.all(&tx.connection).await?)
}

/// The texts of ours to the same people with the same words that have no provider's id.
pub(super) async fn rivals(tx: &Tx, keys: &Keys<'_>) -> Result<BTreeSet<Uuid>, Error> {
    if keys.settling.is_empty() {
        return Ok(BTreeSet::new());
    }
    let this = Alias::new("this");
    let same =
        |column: message::Column| Expr::col((this.clone(), column)).eq(Expr::col((message::Entity, column)));
    let alike = Query::select()
        .expr(Expr::value(1))
        .from_as(message::Entity, this.clone())
        .and_where(Expr::col((this.clone(), message::Column::Id)).is_in(keys.settling.iter().map(|id| id.0)))
        .and_where(same(message::Column::ContactId))
        .and_where(same(message::Column::AccountId))
        .and_where(same(message::Column::Body))
        .to_owned();
    let contacts = Query::select()
        .column(message::Column::ContactId)
        .from(message::Entity)
        .and_where(message::Column::Id.is_in(keys.settling.iter().map(|id| id.0)))
        .to_owned();
    let rivals: Vec<Uuid> = message::Entity::find()
        .select_only()
        .column(message::Column::Id)
        .filter(Expr::cust("direction = 'outbound'"))
        .filter(message::Column::ProviderSid.is_null())
        .filter(message::Column::ContactId.in_subquery(contacts))
        .filter(Expr::exists(alike))
        .into_tuple()
        .all(&tx.connection)
        .await?;
    Ok(rivals.into_iter().collect())
}

/// Whose the provider's ids are, read once more under the locks: a text that was being sent when the list was read
/// may have got its id while the locks were waited for.
pub(super) async fn bound(tx: &Tx, keys: &Keys<'_>, state: &mut State) -> Result<(), Error> {
    if !keys.settling.is_empty() {
        super::bound_ids(tx, keys, state).await?;
    }
    Ok(())
}
