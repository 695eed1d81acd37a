//! `[keys]`: what credentials are sealed with.

use secrecy::SecretString;

use super::section::section;

section! {
    /// What credentials are sealed with.
    pub struct Keys {
        /// 32 random bytes in base64 (`openssl rand -base64 32`). `up` generates one in its data folder. Without
        /// it the accounts' tokens cannot be read: keep a copy apart from the database.
        pub master_key: Option<SecretString> = None,
    }
}
