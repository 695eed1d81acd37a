//! The one way a setting is declared: its documentation, type and default in one place, from which reading,
//! rendering and the example file follow.

use super::value::Value;

/// One setting of a section.
pub(crate) struct Key<'a> {
    /// Its name in TOML; in the environment in upper case.
    pub(crate) name: &'static str,
    /// Its documentation, line by line.
    pub(crate) about: &'static [&'static str],
    /// What a value looks like, where the default is to have none.
    pub(crate) sample: Option<&'static str>,
    /// Where its value is kept.
    pub(crate) value: &'a mut dyn Value,
}

/// A group of settings: one table of the file.
pub(crate) trait Section {
    /// Its documentation, line by line.
    fn about(&self) -> &'static [&'static str];
    /// Its settings in the order of declaration.
    fn keys(&mut self) -> Vec<Key<'_>>;
}

/// Declares a section: a struct whose fields have documentation and a default, optional ones also a sample.
macro_rules! section {
    ($(#[doc = $about:literal])* pub struct $name:ident {
        $($(#[doc = $doc:literal])* $(#[such_as($sample:literal)])? pub $key:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub struct $name { $($(#[doc = $doc])* pub $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl crate::config::section::Section for $name {
            fn about(&self) -> &'static [&'static str] {
                &[$($about),*]
            }
            fn keys(&mut self) -> Vec<crate::config::section::Key<'_>> {
                vec![$(crate::config::section::Key {
                    name: stringify!($key),
                    about: &[$($doc),*],
                    sample: None$(.or(Some($sample)))?,
                    value: &mut self.$key,
                }),*]
            }
        }
    };
}

pub(crate) use section;
