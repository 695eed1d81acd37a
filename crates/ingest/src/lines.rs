//! The directory as ingest uses it: lines by webhook id, each with the keys of its account, opened once for every
//! version of the directory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};

use casewire_domain::AccountId;
use casewire_domain::directory::{AccountEntry, Directory, Method};
use casewire_domain::seal::{self, MasterKey, Sealed};
use casewire_twilio::signature::Keyring;
use secrecy::SecretString;
use tokio::sync::watch;
use tracing::error;

/// The lines as they stand.
pub(crate) struct Lines {
    directory: watch::Receiver<Option<Arc<Directory>>>,
    master_key: MasterKey,
    opened: RwLock<Option<Arc<Opened>>>,
}

/// One version of the directory with its keys opened.
pub(crate) struct Opened {
    from: Arc<Directory>,
    lines: HashMap<String, Line>,
    /// What a line that does not exist is verified with.
    nobody: Line,
    /// Whether some token was sealed with another master key: this installation cannot verify what it should.
    foreign: bool,
}

/// What is needed to take a line's webhooks.
pub(crate) struct Line {
    /// The provider's id of its account; `None` for a line that does not exist.
    pub(crate) account_sid: Option<Arc<str>>,
    /// The methods of its message webhook.
    pub(crate) method: Method,
    /// Who may sign.
    pub(crate) keys: Arc<Keys>,
}

/// An account's keys.
pub(crate) struct Keys {
    /// Those that could be opened.
    pub(crate) ring: Keyring,
    /// Whether that is all of them. When not, a signature that does not match says nothing.
    pub(crate) complete: bool,
}

impl Lines {
    pub(crate) fn new(directory: watch::Receiver<Option<Arc<Directory>>>, master_key: MasterKey) -> Self {
        Self { directory, master_key, opened: RwLock::default() }
    }

    /// The lines as one thread asks for them.
    pub(crate) fn view(&self) -> View {
        View { changes: RefCell::new(self.directory.clone()), held: RefCell::default() }
    }

    /// Whether a directory is there, and its keys are ours to open.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        match self.current() {
            None => Err("no directory of lines came yet".to_owned()),
            Some(opened) if opened.foreign => Err("tokens were sealed with another master key".to_owned()),
            Some(_) => Ok(()),
        }
    }

    /// The newest directory, opened by the first who asks, so that it holds from the moment it came.
    fn current(&self) -> Option<Arc<Opened>> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner).clone();
        let newest = {
            let newest = self.directory.borrow();
            let newest = newest.as_ref()?;
            if opened.as_ref().is_some_and(|opened| Arc::ptr_eq(&opened.from, newest)) {
                return opened;
            }
            Arc::clone(newest)
        };
        let is_newest = |opened: &&Arc<Opened>| Arc::ptr_eq(&opened.from, &newest);
        let mut current = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = current.as_ref().filter(is_newest) {
            return Some(Arc::clone(opened));
        }
        let opened = Arc::new(open(newest, &self.master_key));
        *current = Some(Arc::clone(&opened));
        Some(opened)
    }
}

/// The lines as a thread holds them, which counts by itself who looks at them.
pub(crate) struct Held(Arc<Opened>);

impl Held {
    /// The line of this webhook id, or one that takes POST and verifies nothing.
    pub(crate) fn line(&self, webhook_id: &str) -> &Line {
        self.0.lines.get(webhook_id).unwrap_or(&self.0.nobody)
    }
}

/// One thread's view of the lines, which asks others only after a change.
pub(crate) struct View {
    changes: RefCell<watch::Receiver<Option<Arc<Directory>>>>,
    held: RefCell<Option<Rc<Held>>>,
}

impl View {
    /// The lines as they stand now; `None` before the first directory.
    pub(crate) fn current(&self, lines: &Lines) -> Option<Rc<Held>> {
        let (mut changes, mut held) = (self.changes.borrow_mut(), self.held.borrow_mut());
        let unchanged = changes.has_changed().is_ok_and(|changed| !changed);
        if held.is_none() || !unchanged {
            *held = None;
            // Before it is read: what comes meanwhile is a change again.
            changes.mark_unchanged();
            *held = lines.current().map(|opened| Rc::new(Held(opened)));
        }
        held.clone()
    }
}

/// Opens the keys of every account that has an active line.
fn open(directory: Arc<Directory>, master_key: &MasterKey) -> Opened {
    let mut foreign = false;
    let mut accounts: HashMap<AccountId, (Arc<str>, Arc<Keys>)> = HashMap::new();
    for account in &directory.accounts {
        let (keys, is_foreign) = keys_of(account, master_key);
        foreign |= is_foreign;
        accounts.insert(account.id, (account.sid.as_str().into(), Arc::new(keys)));
    }
    let active = directory.lines.iter().filter(|line| line.active);
    let lines = active.filter_map(|line| {
        let (sid, keys) = accounts.get(&line.account_id)?;
        let account_sid = Some(Arc::clone(sid));
        let line_of = Line { account_sid, method: line.method, keys: Arc::clone(keys) };
        Some((line.webhook_id.clone(), line_of))
    });
    let lines = lines.collect();
    let keys = Arc::new(Keys { ring: Keyring::dummy(), complete: true });
    let nobody = Line { account_sid: None, method: Method::default(), keys };
    Opened { from: directory, lines, nobody, foreign }
}

/// The keys of an account, and whether one was sealed with another master key.
fn keys_of(account: &AccountEntry, master_key: &MasterKey) -> (Keys, bool) {
    let place = account.id.to_string();
    let mut failures = Vec::new();
    let mut secret = |sealed: &Sealed| -> Option<SecretString> {
        master_key.open(sealed, &place).map_err(|error| failures.push(error)).ok()
    };
    let tokens: Vec<_> = account.tokens.iter().filter_map(&mut secret).collect();
    let shared = account.shared_keys.iter();
    let shared: Vec<_> =
        shared.filter_map(|key| Some((key.key_id.clone(), key.algorithm, secret(&key.secret)?))).collect();
    for reason in &failures {
        error!(event = "token_sealed", account.id = %place, "a token of the account cannot be opened: {reason}");
    }
    let foreign = failures.iter().any(|failure| matches!(failure, seal::Error::WrongKey { .. }));
    (Keys { ring: Keyring::new(&tokens, &shared), complete: failures.is_empty() }, foreign)
}
