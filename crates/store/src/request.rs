//! What a command line, or a worker, leaves for a worker to do: rows that are taken on, and told the end of.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::request;
use crate::error::Error;
use crate::transaction::Tx;
use crate::{Inner, Store};

/// Leaves a request of this kind about this subject; its id.
pub(crate) async fn ask(tx: &Tx, inner: &Inner, kind: &str, subject: String) -> Result<Uuid, Error> {
    let id = (inner.mint)();
    let row = request::ActiveModel {
        id: Set(id),
        kind: Set(kind.to_owned()),
        subject: Set(subject),
        created_at: Set(tx.at),
        done_at: Set(None),
        outcome: Set(None),
    };
    row.insert(&tx.connection).await?;
    Ok(id)
}

impl Store {
    /// Takes a request on: no other worker does it from now on, not even where this one ends with it. Whether it was
    /// still to be had.
    pub async fn begin_request(&self, id: Uuid) -> Result<bool, Error> {
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                let begun = request::Entity::update_many()
                    .col_expr(request::Column::DoneAt, Expr::value(tx.at))
                    .filter(request::Column::Id.eq(id))
                    .filter(Expr::cust("done_at is null"))
                    .exec(&tx.connection)
                    .await?;
                Ok(begun.rows_affected > 0)
            })
        })
        .await
    }

    /// Says what came of a request. Where another worker has said so already, that stands.
    pub async fn finish_request(&self, id: Uuid, outcome: String) -> Result<(), Error> {
        self.in_tx(move |tx, _| {
            Box::pin(async move {
                request::Entity::update_many()
                    .col_expr(request::Column::DoneAt, Expr::value(tx.at))
                    .col_expr(request::Column::Outcome, Expr::value(outcome))
                    .filter(request::Column::Id.eq(id))
                    .filter(Expr::cust("outcome is null"))
                    .exec(&tx.connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// What came of a request; `None` while no worker has done it, and for ever where its worker ended with it.
    pub async fn request_outcome(&self, id: Uuid) -> Result<Option<String>, Error> {
        let row = self.request(id).await?;
        Ok(row.and_then(|row| row.outcome))
    }

    /// Whether a worker has taken a request on.
    pub async fn request_begun(&self, id: Uuid) -> Result<bool, Error> {
        let row = self.request(id).await?;
        Ok(row.is_some_and(|row| row.done_at.is_some()))
    }

    async fn request(&self, id: Uuid) -> Result<Option<request::Model>, Error> {
        let found = request::Entity::find_by_id(id).one(&self.inner.connections.reader);
        self.in_time(async { Ok(found.await?) }).await
    }
}
