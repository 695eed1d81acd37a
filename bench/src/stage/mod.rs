//! What measures play on: private servers, and the programs that are compared.

pub(crate) mod backlog;
pub(crate) mod books;
pub(crate) mod broker;
pub(crate) mod front;
pub(crate) mod home;
pub(crate) mod line;
pub(crate) mod programs;
pub(crate) mod twilio;
