//! Case numbers, taken from the database in blocks, so that workers do not queue for each one. A block lost
//! with its process leaves a gap, which is fine.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use casewire_domain::CaseNumber;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::Store;
use crate::connections::Purpose;
use crate::entity::installation;
use crate::error::Error;

/// Numbers in a block. A hundred: a busy worker takes one every few batches, and a restart wastes little.
const BLOCK: u32 = 100;

/// Numbers this process has taken and not used.
#[derive(Default)]
pub(crate) struct Numbers(Mutex<VecDeque<CaseNumber>>);

impl Numbers {
    fn take(&self, count: usize) -> VecDeque<CaseNumber> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = count.min(free.len());
        free.drain(..count).collect()
    }

    /// Gives numbers back that no row has.
    pub(crate) fn give_back(&self, numbers: VecDeque<CaseNumber>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(numbers);
        free.make_contiguous().sort_unstable();
    }
}

impl Store {
    /// That many numbers nobody has.
    pub(crate) async fn case_numbers(&self, count: usize) -> Result<VecDeque<CaseNumber>, Error> {
        let mut numbers = self.inner.numbers.take(count);
        while numbers.len() < count {
            let missing = u32::try_from(count - numbers.len()).unwrap_or(BLOCK);
            match self.block(missing.div_ceil(BLOCK) * BLOCK).await {
                Ok(block) => numbers.extend(block),
                Err(error) => {
                    self.inner.numbers.give_back(numbers);
                    return Err(error);
                }
            }
        }
        let spare = numbers.split_off(count);
        self.inner.numbers.give_back(spare);
        Ok(numbers)
    }

    async fn block(&self, size: u32) -> Result<Vec<CaseNumber>, Error> {
        let size = i32::try_from(size).map_err(|_| Error::NumbersExhausted)?;
        let end = self
            .in_tx_for(Purpose::Batch, move |tx, _| {
                Box::pin(async move {
                    installation::Entity::update_many()
                        .col_expr(
                            installation::Column::NextCaseNumber,
                            Expr::col(installation::Column::NextCaseNumber).add(size),
                        )
                        .filter(installation::Column::Id.eq(1))
                        .exec(&tx.connection)
                        .await?;
                    let end: Option<i32> = installation::Entity::find()
                        .select_only()
                        .column(installation::Column::NextCaseNumber)
                        .into_tuple()
                        .one(&tx.connection)
                        .await?;
                    end.ok_or(Error::Schema(
                        "the database has no installation row: run `casewire migrate`".into(),
                    ))
                })
            })
            .await?;
        let numbers: Vec<_> =
            (end - size..end).filter_map(|n| u32::try_from(n).ok().and_then(CaseNumber::new)).collect();
        if numbers.is_empty() { Err(Error::NumbersExhausted) } else { Ok(numbers) }
    }
}
