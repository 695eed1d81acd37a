//! How things stand: at the provider, and in the database.

use std::sync::Arc;

use anyhow::{Context, Result};
use casewire_domain::DeliveryStatus;
use casewire_domain::message::Direction;
use casewire_domain::outbox::OutboxState;
use casewire_simulator::SendEntry;
use casewire_store::view::{CaseFilter, CaseView};
use casewire_testkit::{eventually, eventually_some};

use crate::bench::{Bench, SOON};
use crate::words::number;

impl Bench {
    /// What the provider accepted, oldest first.
    pub(crate) fn accepted(&self) -> Vec<Arc<SendEntry>> {
        self.simulator.ledger().sends
    }

    /// The words of what the provider accepted for this person.
    pub(crate) fn accepted_for(&self, person: &str) -> Vec<String> {
        let (sends, person) = (self.accepted(), number(person));
        sends.iter().filter(|send| send.to == person).map(|send| send.body.reveal().to_owned()).collect()
    }

    /// The newest case of this person, if there is one.
    pub(crate) async fn case_of(&self, person: &str) -> Result<Option<CaseView>> {
        let filter = CaseFilter { contact: Some(person.to_owned()), ..Default::default() };
        let page = self.store.list_cases(&filter, 1, None).await?;
        let Some(summary) = page.items.first() else { return Ok(None) };
        Ok(self.store.case(summary.case.number).await?)
    }

    /// Waits for a case of this person.
    pub(crate) async fn case_soon(&self, person: &str) -> Result<CaseView> {
        eventually_some("there is a case", SOON, || async { self.case_of(person).await.ok().flatten() }).await
    }

    /// How far our texts to this person have come, oldest first, and where they stand in the outbox.
    pub(crate) async fn standing(&self, person: &str) -> Result<Vec<(DeliveryStatus, Option<OutboxState>)>> {
        let Some(case) = self.case_of(person).await? else { return Ok(Vec::new()) };
        let ours = case.messages.iter().filter(|view| view.message.direction == Direction::Outbound);
        Ok(ours.map(|view| (view.message.progress.status(), view.outbox)).collect())
    }

    /// Waits until our texts to this person stand so.
    pub(crate) async fn stands(
        &self,
        person: &str,
        expected: &[(DeliveryStatus, Option<OutboxState>)],
    ) -> Result<()> {
        let stands = || async { self.standing(person).await.is_ok_and(|found| found == expected) };
        let waited = eventually("our texts stand as expected", SOON, stands).await;
        waited.with_context(|| format!("expected {expected:?}"))?;
        Ok(())
    }
}
