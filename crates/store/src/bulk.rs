//! Many rows in one statement, and few different statements, so that the database keeps them prepared: PostgreSQL gets
//! one array for each column or condition, however many rows there are; SQLite, which has no arrays, gets lists whose
//! lengths are powers of two.

use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{ArrayType, Expr, ExprTrait, OnConflict, PostgresQueryBuilder, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ColumnType, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, Iterable, Statement, Value,
};

use crate::error::Error;
use crate::transaction::Tx;

/// Most rows of one statement on SQLite: 22 columns of 512 messages are a third of what it takes as parameters.
const MOST_ROWS: usize = 512;

/// Whether a column holds one of these values. None at all match nothing.
pub(crate) fn among<C, V>(
    connection: &impl ConnectionTrait,
    column: C,
    values: impl IntoIterator<Item = V>,
) -> Expr
where
    C: ColumnTrait,
    V: Into<Value>,
{
    let mut values: Vec<Value> = values.into_iter().map(Into::into).collect();
    match (values.last().cloned(), connection.get_database_backend()) {
        (Some(_), DbBackend::Postgres) => {
            Expr::col(column.as_column_ref()).eq(PgFunc::any(Expr::val(array(values))))
        }
        (Some(last), _) => {
            values.resize(values.len().next_power_of_two(), last);
            column.is_in(values)
        }
        (None, _) => column.is_in(values),
    }
}

/// Inserts rows.
pub(crate) async fn insert<A>(tx: &Tx, rows: Vec<A>, on_conflict: Option<OnConflict>) -> Result<(), Error>
where
    A: ActiveModelTrait + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    match tx.connection.get_database_backend() {
        DbBackend::Postgres => insert_arrays(tx, rows, on_conflict).await,
        _ => insert_lists(tx, rows, on_conflict).await,
    }
}

type ColumnOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

/// Rows that have the same columns; an array holds no nulls.
struct Alike<A: ActiveModelTrait> {
    columns: Vec<ColumnOf<A>>,
    /// One for each column.
    values: Vec<Vec<Value>>,
}

async fn insert_arrays<A: ActiveModelTrait>(
    tx: &Tx,
    rows: Vec<A>,
    on_conflict: Option<OnConflict>,
) -> Result<(), Error> {
    for Alike { columns, values } in alike(rows) {
        let mut rows = Query::select();
        let values: Vec<_> =
            values.into_iter().enumerate().map(|(place, column)| sent(place, column)).collect();
        for ((place, column), value) in (1..).zip(&columns).zip(&values) {
            let cast = if is_json(column) { "::jsonb" } else { "" };
            rows.expr(match value {
                Value::Array(..) => Expr::cust(format!("unnest(${place}){cast}")),
                _ => Expr::cust(format!("${place}{cast}")),
            });
        }
        let mut insert = Query::insert();
        insert.into_table(A::Entity::default()).columns(columns).select_from(rows).map_err(mismatch)?;
        if let Some(clause) = &on_conflict {
            insert.on_conflict(clause.clone());
        }
        // Beside the statement, not in it: whatever is in it is copied once more when its text is made.
        let sql = insert.to_string(PostgresQueryBuilder);
        tx.connection.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    }
    Ok(())
}

/// Rows by the columns they have, in the order each kind is met first. A column that is not there is null.
fn alike<A: ActiveModelTrait>(rows: Vec<A>) -> Vec<Alike<A>> {
    let mut groups: Vec<(Vec<bool>, Alike<A>)> = Vec::new();
    let most = rows.len();
    let mut values = Vec::new();
    for mut row in rows {
        let taken = ColumnOf::<A>::iter().map(|column| row.take(column).into_value());
        values.extend(taken.map(|value| value.filter(Value::is_some)));
        let is_alike = |known: &[bool]| values.iter().map(Option::is_some).eq(known.iter().copied());
        let place = groups.iter().position(|(known, _)| is_alike(known)).unwrap_or_else(|| {
            let there: Vec<_> = values.iter().map(Option::is_some).collect();
            let columns = ColumnOf::<A>::iter().zip(&there).filter(|(_, is_there)| **is_there);
            let columns: Vec<_> = columns.map(|(column, _)| column).collect();
            let values = columns.iter().map(|_| Vec::with_capacity(most)).collect();
            groups.push((there, Alike { columns, values }));
            groups.len() - 1
        });
        let columns = groups[place].1.values.iter_mut();
        columns.zip(values.drain(..).flatten()).for_each(|(column, value)| column.push(value));
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn is_json(column: &impl ColumnTrait) -> bool {
    matches!(column.def().get_column_type(), ColumnType::Json | ColumnType::JsonBinary)
}

/// From so many rows on what all have alike is sent once. Thirty-two: few rows are alike by chance, each time in other
/// columns, and every set of columns is a statement of its own.
const MANY_ROWS: usize = 32;

/// A column as it is sent: once, where all of many rows have the same in it, such as a line or a direction. Never the first,
/// which says how many rows there are.
fn sent(place: usize, mut column: Vec<Value>) -> Value {
    let is_same = place > 0 && column.len() >= MANY_ROWS && column.iter().all(|value| *value == column[0]);
    if is_same { column.swap_remove(0) } else { array(column) }
}

/// Values of one type, none of them null.
fn array(values: Vec<Value>) -> Value {
    let kind = values.first().map_or(ArrayType::String, Value::array_type);
    Value::Array(kind, Some(Box::new(values)))
}

/// It happens to no rows: as many values are selected as columns named.
fn mismatch(error: impl std::fmt::Display) -> Error {
    Error::Refused(DbErr::Custom(error.to_string()))
}

async fn insert_lists<A>(tx: &Tx, rows: Vec<A>, on_conflict: Option<OnConflict>) -> Result<(), Error>
where
    A: ActiveModelTrait + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let left = rows.len().min(MOST_ROWS);
        let chunk = if left.is_power_of_two() { left } else { left.next_power_of_two() / 2 };
        let insert = A::Entity::insert_many::<A, _>(rows.by_ref().take(chunk));
        match &on_conflict {
            Some(clause) => insert.on_conflict(clause.clone()).exec_without_returning(&tx.connection).await?,
            None => insert.exec_without_returning(&tx.connection).await?,
        };
    }
    Ok(())
}
